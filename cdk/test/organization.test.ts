import { describe, expect, test } from 'vitest';
import { exampleApp, exampleConfig } from './app.ts';
import { evaluate } from './policy.ts';
import { Synthesized } from './template.ts';

const names = (changes = {}) =>
  exampleApp(changes)
    .synth()
    .stacks.map(({ stackName }) => stackName)
    .sort();

describe('the stacks of a deployment', () => {
  test('are all four when the configuration asks for them', () => {
    expect(names()).toEqual(['DaypassHub', 'DaypassIdentity', 'DaypassTarget', 'DaypassTargets']);
  });

  test('are hub and target when Identity Center is the hub’s and no organisational unit is named', () => {
    const identity = { store_id: 'd-1234567890', account_id: '111111111111', region: 'us-east-1' };
    expect(names({ identity, organization: undefined })).toEqual(['DaypassHub', 'DaypassTarget']);
  });
});

describe('identity stack', () => {
  const identity = new Synthesized('DaypassIdentity', '444444444444');
  const READER = 'daypass-identity-reader';

  test('belongs to the identity account and its region, and needs no bootstrap there', () => {
    const { environment, assets, template } = exampleApp().synth().getStackByName('DaypassIdentity');
    expect(environment).toMatchObject({ account: '444444444444', region: 'eu-west-1' });
    expect(assets).toEqual([]);
    expect(template).not.toHaveProperty('Parameters');
  });

  test('the reader is assumed by authn and authz of the hub', () => {
    expect(identity.trust(READER)).toEqual([
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: { AWS: 'arn:aws:iam::111111111111:root' },
        Condition: {
          ArnEquals: {
            'aws:PrincipalArn': [
              'arn:aws:iam::111111111111:role/daypass-authn',
              'arn:aws:iam::111111111111:role/daypass-authz',
            ],
          },
        },
      },
    ]);
  });

  const store = (id: string) => `arn:aws:identitystore::555555555555:identitystore/${id}`;
  const may = (action: string, resource: string) =>
    evaluate(identity.statements(READER), { action: `identitystore:${action}`, resource }) === 'allowed';

  test.each(['GetUserId', 'DescribeUser', 'GetGroupId', 'IsMemberInGroups'])('the reader may %s', (action) => {
    expect(may(action, store('d-1234567890'))).toBe(true);
    expect(may(action, store('d-0000000000'))).toBe(false);
  });

  test.each(['ListUsers', 'ListGroups', 'ListGroupMemberships', 'CreateGroupMembership', 'UpdateUser'])(
    'the reader may not %s',
    (action) => expect(may(action, store('d-1234567890'))).toBe(false),
  );

  test('the reader decrypts with the key of Identity Center, if it has one; authn and authz do not', () => {
    const key = 'arn:aws:kms:eu-west-1:555555555555:key/1234abcd-12ab-34cd-56ef-1234567890ab';
    const { identity: configured } = exampleConfig();
    const changes = { identity: { ...configured, kms_key_arn: key } };
    const encrypted = new Synthesized('DaypassIdentity', '444444444444', changes);
    const keys = {
      'kms:ViaService': 'identitystore.eu-west-1.amazonaws.com',
      'kms:EncryptionContext:aws:identitystore:identitystore-arn': store('d-1234567890'),
    };
    const decrypts = (stack: Synthesized) =>
      evaluate(stack.statements(READER), { action: 'kms:Decrypt', resource: key, context: keys });
    expect([decrypts(encrypted), decrypts(identity)]).toEqual(['allowed', 'not allowed']);
    const hub = new Synthesized('DaypassHub', '111111111111', changes);
    for (const task of ['authn', 'authz']) {
      expect(JSON.stringify(hub.statements(`daypass-${task}`))).not.toContain('kms:');
    }
  });

  test('outputs', () => expect(Object.keys(identity.template.findOutputs('*'))).toEqual(['ReaderRoleArn']));
});

describe('stack set', () => {
  const targets = new Synthesized('DaypassTargets', '555555555555');
  const [set] = targets.all<{ TemplateBody: string }>('AWS::CloudFormation::StackSet');
  const body = set?.TemplateBody ?? '';

  test('reaches every account of the organisational units, present and future, in one region', () => {
    expect(set).toMatchObject({
      StackSetName: 'DaypassTarget',
      PermissionModel: 'SERVICE_MANAGED',
      CallAs: 'SELF',
      Capabilities: ['CAPABILITY_NAMED_IAM'],
      AutoDeployment: { Enabled: true, RetainStacksOnAccountRemoval: false },
      StackInstancesGroup: [
        { DeploymentTargets: { OrganizationalUnitIds: ['ou-ab12-cdef3456'] }, Regions: ['us-east-1'] },
      ],
    });
  });

  test('deploys exactly the target stack', () => {
    const template = exampleApp().synth().getStackByName('DaypassTarget').template;
    expect(JSON.parse(body)).toEqual(template);
  });

  test('accepts the external ids that a target accepts', () => {
    const changes = { accepted_external_ids: ['daypass-next'] };
    const [set] = new Synthesized('DaypassTargets', '555555555555', changes).all('AWS::CloudFormation::StackSet');
    const template = exampleApp(changes).synth().getStackByName('DaypassTarget').template;
    expect(JSON.parse(`${set?.TemplateBody}`)).toEqual(template);
    expect(JSON.stringify(template)).toContain('"sts:ExternalId":["daypass-111111111111","daypass-next"]');
  });

  test('hands its parameters on', () => {
    const names = ['TrailBucket', 'TrailLogGroup', 'TrailKeyArn', 'WorkloadsDeleteData'];
    const handedOn = names.map((name) => ({ ParameterKey: name, ParameterValue: `\${${name}}` }));
    expect(set).toHaveProperty('Parameters', handedOn);
    expect(Object.keys(JSON.parse(body).Parameters)).toEqual(names);
  });

  test('fits into a request', () => {
    expect(body.length).toBeLessThan(51_200);
  });

  test('is called as delegated administrator by setting', () => {
    const { organization } = exampleConfig();
    if (!organization) throw new Error('the example has an organisation');
    const changes = { organization: { ...organization, delegated_administrator: true } };
    const [delegated] = new Synthesized('DaypassTargets', '555555555555', changes).all('AWS::CloudFormation::StackSet');
    expect(delegated?.CallAs).toBe('DELEGATED_ADMIN');
  });
});
