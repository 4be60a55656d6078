import { describe, expect, test } from 'vitest';
import type { Config } from '../lib/config.ts';
import { plan, PreflightError, type Situation, type StackName } from '../lib/preflight.ts';
import { exampleConfig } from './app.ts';

const [HUB, IDENTITY, TARGET] = ['111111111111', '444444444444', '222222222222'];
const PROVIDER = `arn:aws:iam::${HUB}:oidc-provider/token.actions.githubusercontent.com`;
const github = { arn: PROVIDER, clientIds: ['sts.amazonaws.com'], ofStack: false };

const withGithub = (changes: Partial<NonNullable<Config['github']>>): Config => {
  const config = exampleConfig();
  return { ...config, ...(config.github && { github: { ...config.github, ...changes } }) };
};
const named = withGithub({ oidc_provider_arn: PROVIDER });

const planned = (stack: StackName, account: string, changes: Partial<Situation> = {}, config = exampleConfig()) =>
  plan(stack, config, [TARGET], {
    account,
    caller: `arn:aws:iam::${account}:user/admin`,
    region: 'us-east-1',
    ...changes,
  });
const refused = (...of: Parameters<typeof planned>) => {
  try {
    planned(...of);
  } catch (error) {
    if (error instanceof PreflightError) return error.message;
    throw error;
  }
  return 'nothing is refused';
};

describe('how it is gone about', () => {
  test.each([
    [undefined, 'creates it in account 111111111111 (the hub)', '--no-rollback'],
    ['REVIEW_IN_PROGRESS', 'creates it in account 111111111111 (the hub)', '--no-rollback'],
    ['CREATE_FAILED', 'goes on where the last deployment has stopped (CREATE_FAILED), in', '--no-rollback'],
    ['CREATE_IN_PROGRESS', 'waits for its creation, then updates it in account 111111111111', '--no-rollback'],
    ['DELETE_IN_PROGRESS', 'waits for its deletion, then creates it in', '--no-rollback'],
    ['UPDATE_IN_PROGRESS', 'waits for the update that is under way, then updates it in', '--rollback'],
    ['UPDATE_COMPLETE_CLEANUP_IN_PROGRESS', 'waits for the update that is under way, then', '--rollback'],
    ['UPDATE_ROLLBACK_IN_PROGRESS', 'waits for the update that is under way, then', '--rollback'],
    ['UPDATE_FAILED', 'goes on where the last deployment has stopped (UPDATE_FAILED), in', '--no-rollback'],
    ['CREATE_COMPLETE', 'updates it in account 111111111111 (the hub)', '--rollback'],
    ['UPDATE_COMPLETE', 'updates it in', '--rollback'],
    ['UPDATE_ROLLBACK_COMPLETE', 'updates it in', '--rollback'],
    ['IMPORT_COMPLETE', 'updates it in', '--rollback'],
  ])('a stack in %s', (status, does, option) => {
    const found = planned('DaypassHub', HUB, { ...(status && { status }), terminationProtection: true });
    expect(found.does).toContain(does);
    expect(found.options).toEqual([option]);
    expect(found.unprotect).toBe(false);
  });

  test.each(['ROLLBACK_COMPLETE', 'ROLLBACK_FAILED'])('what is left in %s may be deleted', (status) => {
    expect(planned('DaypassHub', HUB, { status, terminationProtection: true }).unprotect).toBe(true);
    expect(planned('DaypassHub', HUB, { status, terminationProtection: false }).unprotect).toBe(false);
  });

  test.each([
    ['DELETE_FAILED', /the stack is in DELETE_FAILED: its deletion has failed; delete it again/],
    ['UPDATE_ROLLBACK_FAILED', /continue its rollback first: aws cloudformation continue-update-rollback/],
    [
      'IMPORT_IN_PROGRESS',
      /the stack is in IMPORT_IN_PROGRESS: CloudFormation says IMPORT_IN_PROGRESS, which is not known here/,
    ],
  ])('a stack in %s needs a person', (status, problem) => {
    expect(refused('DaypassHub', HUB, { status })).toMatch(problem);
  });

  test('what a stack of another region has made is not made again, and its provider is not asked for', () => {
    const said = refused('DaypassHub', HUB, { takenRole: 'daypass-invoker', github });
    expect(said).toMatch(
      /has a role daypass-invoker already, which is not of DaypassHub in us-east-1: there is a stack in/,
    );
    expect(said).not.toContain('oidc_provider_arn');
    expect(refused('DaypassTarget', TARGET, { takenRole: 'daypass-provisioner' })).toContain(
      'or a stack set, has on-boarded',
    );
  });

  test('a target says whether requests for it are granted', () => {
    expect(planned('DaypassTarget', TARGET).does).toBe(
      'creates it in account 222222222222 (a target of personas.json)',
    );
    expect(planned('DaypassTarget', '999999999999').does).toContain('(not in personas.json: no request for it');
  });
});

describe('another account', () => {
  test.each<[StackName, string, RegExp]>([
    ['DaypassHub', TARGET, /these credentials are of 222222222222 .*, and the hub is 111111111111: use credentials of/],
    ['DaypassIdentity', HUB, /Identity Center is managed from 444444444444: use credentials of that account/],
    ['DaypassTarget', HUB, /111111111111 .*, the hub: it must not be a target/],
  ])('%s in %s', (stack, account, problem) => {
    expect(refused(stack, account)).toMatch(problem);
  });

  test('the right ones', () => {
    expect(planned('DaypassIdentity', IDENTITY).does).toContain('that of Identity Center');
    expect(planned('DaypassTargets', '999999999999').does).toContain('organisational units');
  });

  test('a stack that the configuration does not have', () => {
    const { organization: _, ...config } = exampleConfig();
    expect(refused('DaypassTargets', HUB, {}, config)).toContain('has no `organization`');
    const inHub = exampleConfig({ identity: { store_id: 'd-1234567890', account_id: HUB, region: 'us-east-1' } });
    expect(refused('DaypassIdentity', HUB, {}, inHub)).toContain('there is no such stack');
  });
});

describe('the provider for GitHub', () => {
  test.each<[string, Config, Situation['github'], RegExp]>([
    [
      'is there, and the stack would make another',
      exampleConfig(),
      github,
      /set github.oidc_provider_arn to arn:aws:iam/,
    ],
    ['is named, and is not there', named, undefined, /has no provider .*: remove github.oidc_provider_arn/],
    ['is named, and is the stack’s own', named, { ...github, ofStack: true }, /would delete it: remove/],
    [
      'does not serve STS',
      named,
      { ...github, clientIds: ['other'] },
      /aws iam add-client-id-to-open-id-connect-provider/,
    ],
  ])('%s', (_, config, found, problem) => {
    expect(refused('DaypassHub', HUB, { ...(found && { github: found }) }, config)).toMatch(problem);
  });

  test.each<[string, Config, Situation['github']]>([
    ['is not there, and the stack makes it', exampleConfig(), undefined],
    ['is the stack’s own', exampleConfig(), { ...github, ofStack: true }],
    ['is named', named, github],
    ['does not matter without GitHub', exampleConfig({ github: undefined }), github],
  ])('%s', (_, config, found) => {
    expect(refused('DaypassHub', HUB, { ...(found && { github: found }) }, config)).toBe('nothing is refused');
  });
});
