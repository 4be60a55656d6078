// Bundles the action into the folder that is named: what GitHub runs has no node_modules.
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const [, , folder] = process.argv;
if (!folder) {
  console.error('usage: node build.mjs FOLDER');
  process.exit(2);
}

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
await build({
  entryPoints: ['src/main.ts', 'src/post.ts'],
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  define: { 'process.env.DAYPASS_ACTION_VERSION': JSON.stringify(version) },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  charset: 'utf8',
  logLevel: 'warning',
});
