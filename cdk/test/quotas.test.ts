import { expect, test } from 'vitest';
import type { Config } from '../lib/config.ts';
import { exampleApp, exampleConfig } from './app.ts';

const workflow = (i: number, length: number) => {
  const start = `my-organization/daypass/.github/workflows/${i}`;
  return `${start}${'w'.repeat(length - start.length - '.yml@refs/tags/v*'.length)}.yml@refs/tags/v*`;
};
/** The hub with so many workflow files, each of so many characters. */
const withWorkflows = (count: number, length: number): Partial<Config> => ({
  github: {
    owner: 'my-organization',
    job_workflow_refs: Array.from({ length: count }, (_, i) => workflow(i, length)),
  },
});
/** The hub with so many patterns of its issuer. */
const withPatterns = (count: number): Partial<Config> => {
  const { identity_tokens } = exampleConfig();
  const issuers = identity_tokens.issuers.map((issuer) => ({
    ...issuer,
    claims: { ref: Array.from({ length: count }, (_, i) => `refs/heads/release-${i}-${'x'.repeat(80)}`) },
  }));
  return { identity_tokens: { ...identity_tokens, issuers } };
};

test('a trust policy that IAM would refuse is refused, with what makes it long', () => {
  expect(() => exampleApp(withWorkflows(8, 120)).synth()).not.toThrow();
  expect(() => exampleApp(withWorkflows(10, 200)).synth()).toThrow(
    /the trust policy of daypass-invoker would have 2,\d{3} characters, and AWS takes 2,048: list fewer or shorter .github.job_workflow_refs. and/,
  );
});

test('an environment that Lambda would refuse is refused, with what makes it long', () => {
  expect(() => exampleApp(withPatterns(10)).synth()).not.toThrow();
  expect(() => exampleApp(withPatterns(20)).synth()).toThrow(
    /the environment of daypass-prove would have 4,\d{3} bytes, and AWS takes 4,096: list fewer issuers/,
  );
});

test('the length of a trust policy is that of its JSON, but for ids that only the deployment knows', () => {
  const stack = exampleApp(withWorkflows(10, 100)).synth().getStackByName('DaypassHub');
  const resources = Object.values(stack.template.Resources) as { Properties: { RoleName?: string } }[];
  const role = resources.find(({ Properties }) => Properties?.RoleName === 'daypass-invoker');
  const { AssumeRolePolicyDocument } = role?.Properties as { AssumeRolePolicyDocument: unknown };
  const longer = JSON.stringify(AssumeRolePolicyDocument).length + 10 * 100;
  try {
    exampleApp(withWorkflows(10, 200)).synth();
    expect.unreachable();
  } catch (error) {
    const [, told = ''] = /would have ([\d,]+) characters/.exec(`${error}`) ?? [];
    expect(Math.abs(Number(told.replace(',', '')) - longer)).toBeLessThan(75);
  }
});
