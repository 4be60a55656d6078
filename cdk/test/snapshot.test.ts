import { expect, test } from 'vitest';
import { VERSION } from '../lib/version.ts';
import { exampleApp } from './app.ts';

/**
 * What depends on the content of function packages, and so on the compiler, is no part of the picture; nor is the version
 * that a target says.
 */
const withoutHashes = (template: unknown) =>
  `${JSON.stringify(template, null, 2)
    .replace(/[0-9a-f]{64}\.zip/g, '<hash>.zip')
    .replaceAll(`"${VERSION}"`, '"<version>"')
    .replaceAll(`\\"${VERSION}\\"`, '\\"<version>\\"')}\n`;

const stacks = exampleApp().synth().stacks;

test.each(stacks.map(({ stackName, template }) => [stackName, template]))(
  '%s is what was reviewed',
  async (name, template) => {
    await expect(withoutHashes(template)).toMatchFileSnapshot(`__snapshots__/${name}.template.json`);
  },
);
