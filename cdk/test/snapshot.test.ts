import { expect, test } from 'vitest';
import { exampleApp } from './app.ts';

/** What depends on the content of function packages, and so on the compiler, is no part of the picture. */
const withoutHashes = (template: unknown) =>
  `${JSON.stringify(template, null, 2).replace(/[0-9a-f]{64}\.zip/g, '<hash>.zip')}\n`;

const stacks = exampleApp().synth().stacks;

test.each(stacks.map(({ stackName, template }) => [stackName, template]))(
  '%s is what was reviewed',
  async (name, template) => {
    await expect(withoutHashes(template)).toMatchFileSnapshot(`__snapshots__/${name}.template.json`);
  },
);
