import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { addStacks } from '../lib/app.ts';
import { ConfigError, loadConfig } from '../lib/config.ts';

const cdk = resolve(import.meta.dirname, '..');

try {
  const config = loadConfig(resolve(process.env.DAYPASS_CONFIG ?? `${cdk}/daypass.config.json`));
  addStacks(new App(), config, resolve(cdk, '../statemachine'));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
