import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { addStacks } from '../lib/app.ts';
import { ConfigError, loadConfig } from '../lib/config.ts';
import { checkPersonas, PersonasError } from '../lib/personas.ts';

const cdk = resolve(import.meta.dirname, '..');

try {
  const file = resolve(process.env.DAYPASS_CONFIG ?? `${cdk}/daypass.config.json`);
  const config = loadConfig(file);
  checkPersonas(config, file);
  addStacks(new App(), config, resolve(cdk, '../statemachine'));
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof PersonasError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
