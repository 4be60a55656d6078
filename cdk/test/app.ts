/** The app under test: the example configuration, with stand-ins for what the build makes. */
import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { addStacks } from '../lib/app.ts';
import { type Config, parseConfig } from '../lib/config.ts';

const path = (relative: string) => new URL(relative, import.meta.url).pathname;
export const fixtures = path('fixtures');

/** The example configuration, so that it cannot rot: every test of the app uses it. */
export function exampleConfig(changes: Partial<Config> = {}): Config {
  const file = path('../daypass.config.example.json');
  return {
    ...parseConfig(readFileSync(file, 'utf8'), file),
    personas_file: `${fixtures}/personas.json`,
    assets_dir: `${fixtures}/assets`,
    ...changes,
  };
}

/** The app with the context of cdk.json, as the CLI would run it. */
export function exampleApp(
  changes: Partial<Config> = {},
  context: Record<string, unknown> = {},
  definitions = `${fixtures}/statemachine`,
): App {
  const { context: flags } = JSON.parse(readFileSync(path('../cdk.json'), 'utf8'));
  const app = new App({ context: { ...flags, ...context }, analyticsReporting: false });
  addStacks(app, exampleConfig(changes), definitions);
  return app;
}
