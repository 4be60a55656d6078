import { Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { expect, test } from 'vitest';
import { exampleApp } from './app.ts';

/** Where Identity Center lives, and whether GitHub's provider exists, changes what there is to check. */
const variants = {
  'the example': {},
  'an identity store in the hub': {
    identity: { store_id: 'd-1234567890', account_id: '111111111111', region: 'us-east-1' },
  },
};

interface Finding {
  readonly rule: string;
  readonly at: string;
}

function findings(app: IConstruct, checks = new AwsSolutionsChecks(app)): Finding[] {
  return checks
    .validateScope(app)
    .violations.flatMap(({ ruleName: rule, violatingResources }) =>
      violatingResources.map(({ constructPath }) => ({ rule, at: constructPath ?? '' })),
    );
}

/** Every finding, whether or not somebody wrote down a reason for it. */
function findingsBeforeReasons(app: IConstruct): Finding[] {
  const checks = new AwsSolutionsChecks(app);
  return findings(app, Object.assign(checks, { isAcknowledged: () => false }));
}

function reasons(app: IConstruct): (Finding & { readonly reason: string })[] {
  return app.node.findAll().flatMap((construct) =>
    construct.node.metadata
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap(({ data }) => Object.entries(data as Record<string, string>))
      .map(([id, reason]) => ({ rule: id.replace(/^annotation::/i, ''), at: construct.node.path, reason })),
  );
}

test.each(Object.entries(variants))('no finding of AwsSolutions lacks a written reason (%s)', (_, changes) => {
  const app = exampleApp(changes);
  app.synth();
  expect(findingsBeforeReasons(app).length).toBeGreaterThan(0);
  expect(findings(app)).toEqual([]);
});

test('every written reason is a sentence, and belongs to a finding that exists', () => {
  const found: Finding[] = [];
  const written: ReturnType<typeof reasons> = [];
  for (const changes of Object.values(variants)) {
    const app = exampleApp(changes);
    app.synth();
    found.push(...findingsBeforeReasons(app));
    written.push(...reasons(app).filter(({ rule }) => rule.startsWith('AwsSolutions')));
  }
  const stale = written.filter(({ rule, at }) => !found.some((f) => f.rule === rule && f.at.startsWith(at)));
  expect(stale).toEqual([]);
  expect(written.filter(({ reason }) => !/^[A-Z].{30,}\.$/.test(reason))).toEqual([]);
});
