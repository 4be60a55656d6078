import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/temporary.ts',
    // One process for all files: loading the CDK takes longer than most tests. No test may change what others see.
    isolate: false,
    fileParallelism: false,
    // Synthesising the app on a busy machine takes seconds; no test depends on how long it takes.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
