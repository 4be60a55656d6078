import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/bundles.ts',
    // A step is a process of its own, and no test depends on how long it takes.
    testTimeout: 120_000,
  },
});
