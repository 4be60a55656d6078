import { describe, expect, test } from 'vitest';
import { VERSION, versionOf } from '../lib/version.ts';
import { exampleApp } from './app.ts';
import { evaluate } from './policy.ts';
import { type Statement, Synthesized } from './template.ts';

const TARGET = '222222222222';
const target = new Synthesized('DaypassTarget', TARGET);

const iam = (resource: string, account = TARGET) => `arn:aws:iam::${account}:${resource}`;
const DEPLOY_ROLE = iam('role/daypass/daypass-7b0c6a9e-6d0c-4c43-9a55-0d8a8a5f3b11');
const BOUNDARY = iam('policy/daypass-boundary');
const WORKLOADS = iam('policy/daypass-workloads');
const bounded = { 'iam:PermissionsBoundary': BOUNDARY };
const asWorkload = { 'iam:PermissionsBoundary': WORKLOADS };
const fixed = (persona: string) => iam(`role/fixed-for-daypass/${persona}/deployer`);
const tagged = { 'aws:PrincipalTag/daypass:persona': 'Network' };
const ofNetwork = { ...tagged, 'aws:PrincipalArn': DEPLOY_ROLE };
const ofARole = { ...tagged, 'aws:PrincipalArn': iam('role/deployed-by-daypass/app') };
const aws = (policy: string) => ({ 'iam:PolicyARN': `arn:aws:iam::aws:policy/${policy}` });

test('a target needs no bootstrap: neither assets nor parameters that have to be given', () => {
  const artifact = exampleApp().synth().getStackByName('DaypassTarget');
  expect(artifact.assets).toEqual([]);
  const { WorkloadsDeleteData: deleteData, ...trail } = artifact.template.Parameters;
  expect(deleteData).toMatchObject({ Default: 'no', AllowedValues: ['no', 'yes'] });
  expect(Object.keys(trail)).toEqual(['TrailBucket', 'TrailLogGroup', 'TrailKeyArn']);
  for (const parameter of Object.values<{ Default: string; AllowedPattern: string }>(trail)) {
    expect(parameter.Default).toBe('');
    expect('').toMatch(new RegExp(`^${parameter.AllowedPattern}$`));
  }
  expect(artifact.template).not.toHaveProperty('Rules');
  expect(artifact.environment.account).toBe('unknown-account');
});

// In a target they do not exist; where they do, they are an administrator's.
test.each(['DaypassTarget', 'DaypassIdentity'])('%s asks for no role of the bootstrap', (name) => {
  const artifact = exampleApp().synth().getStackByName(name);
  expect([artifact.assumeRoleArn, artifact.cloudFormationExecutionRoleArn, artifact.lookupRole]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('what stands in a target is shielded by the tag that the boundary respects', () => {
  expect(target.role('daypass-provisioner')).toHaveProperty('Tags', [
    { Key: 'daypass:protected', Value: 'true' },
    { Key: 'daypass:version', Value: VERSION },
  ]);
});

describe('the version that has deployed a target', () => {
  test('is a tag, which no deployment changes, and an output', () => {
    expect(target.template.findOutputs('DaypassVersion')).toMatchObject({ DaypassVersion: { Value: VERSION } });
    const request = { resource: iam('role/daypass-provisioner'), context: { 'aws:TagKeys': ['daypass:version'] } };
    for (const name of ['daypass-boundary', 'daypass-workloads']) {
      const statements = policyOf(name, {})?.PolicyDocument.Statement ?? [];
      for (const action of ['iam:TagRole', 'iam:UntagRole']) {
        expect(evaluate(statements, { action, ...request })).toBe('denied');
      }
    }
    for (const action of ['iam:TagRole', 'iam:UntagRole']) {
      expect(evaluate(target.statements('daypass-provisioner'), { action, ...request })).not.toBe('allowed');
    }
  });

  test('is the version of the workspace', () => {
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
    const other = '[package]\nversion = "9.9.9"\n';
    expect(versionOf(`${other}[workspace.package]\nedition = "2024"\nversion = "1.2.3-rc.1"\n\n${other}`)).toBe(
      '1.2.3-rc.1',
    );
    for (const manifest of [other, `[workspace.package]\nedition = "2024"\n[x]\nversion = "1.2.3"\n`]) {
      expect(() => versionOf(manifest)).toThrow('Cargo.toml has no version');
    }
  });
});

test('outputs', () => {
  expect(Object.keys(target.template.findOutputs('*')).sort()).toEqual([
    'BoundaryArn',
    'DaypassVersion',
    'ProvisionerRoleArn',
  ]);
});

describe('provisioner role', () => {
  const role = target.role('daypass-provisioner');
  const may = (action: string, resource: string, context = {}) =>
    evaluate(target.statements('daypass-provisioner'), { action: `iam:${action}`, resource, context }) === 'allowed';

  test('is assumed by two functions of the hub, with the external id', () => {
    expect(target.trust('daypass-provisioner')).toEqual([
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: { AWS: iam('root', '111111111111') },
        Condition: {
          StringEquals: { 'sts:ExternalId': 'daypass-111111111111' },
          ArnEquals: {
            'aws:PrincipalArn': [
              iam('role/daypass-create-role', '111111111111'),
              iam('role/daypass-delete-role', '111111111111'),
            ],
          },
        },
      },
    ]);
    expect(role.MaxSessionDuration).toBe(3600);
    // Outside of what it manages.
    expect(role).not.toHaveProperty('Path');
  });

  test('accepts other external ids while the id is changed, and no more', () => {
    const accepted_external_ids = ['daypass-next', 'daypass-before'];
    const rotating = new Synthesized('DaypassTarget', TARGET, { accepted_external_ids });
    const [statement, ...more] = rotating.trust('daypass-provisioner');
    expect([statement?.Condition?.StringEquals, more]).toEqual([
      { 'sts:ExternalId': ['daypass-111111111111', ...accepted_external_ids] },
      [],
    ]);
    expect(statement?.Condition?.ArnEquals).toEqual(target.trust('daypass-provisioner')[0]?.Condition?.ArnEquals);
  });

  test.each([
    ['CreateRole', bounded],
    ['PutRolePolicy', bounded],
    ['AttachRolePolicy', { ...bounded, ...aws('PowerUserAccess') }],
    ['AttachRolePolicy', { ...bounded, ...aws('job-function/NetworkAdministrator') }],
  ])('gives with %s, under the boundary only', (action, context) => {
    expect(may(action, DEPLOY_ROLE, context)).toBe(true);
    expect(may(action, DEPLOY_ROLE, { ...context, 'iam:PermissionsBoundary': iam('policy/other') })).toBe(false);
    const { 'iam:PermissionsBoundary': _, ...without } = context;
    expect(may(action, DEPLOY_ROLE, without)).toBe(false);
    expect(may(action, iam('role/daypass-provisioner'), context)).toBe(false);
    expect(may(action, iam('role/daypass/other'), context)).toBe(false);
    expect(may(action, iam('role/app/daypass/daypass-x'), context)).toBe(false);
  });

  test('attaches only what AWS manages', () => {
    expect(may('AttachRolePolicy', DEPLOY_ROLE, { ...bounded, 'iam:PolicyARN': iam('policy/own') })).toBe(false);
  });

  test.each([
    'TagRole',
    'GetRole',
    'ListAttachedRolePolicies',
    'ListRolePolicies',
    'ListInstanceProfilesForRole',
    'DetachRolePolicy',
    'DeleteRolePolicy',
    'DeleteRole',
  ])('%s works on every deploy role, whatever was done to its boundary', (action) => {
    expect(may(action, DEPLOY_ROLE)).toBe(true);
    // Whether a role is there is asked by its name: it does not hurt that this one can be read.
    expect(may(action, iam('role/daypass-provisioner'))).toBe(action === 'GetRole');
    expect(may(action, iam('role/admin'))).toBe(false);
    expect(may(action, iam('role/other/daypass-x'))).toBe(false);
  });

  test('sees that a deploy role is not there, by its name, and does nothing else by that', () => {
    const byName = iam('role/daypass-7b0c6a9e-6d0c-4c43-9a55-0d8a8a5f3b11');
    expect(may('GetRole', byName)).toBe(true);
    expect(may('GetRole', iam('role/other'))).toBe(false);
    for (const action of ['ListRolePolicies', 'DeleteRole', 'DeleteRolePolicy', 'DetachRolePolicy', 'TagRole']) {
      expect(may(action, byName, bounded)).toBe(false);
    }
  });

  test('gives no tags but those of Daypass', () => {
    expect(may('TagRole', DEPLOY_ROLE, { 'aws:TagKeys': ['daypass:transaction-id', 'daypass:email'] })).toBe(true);
    expect(may('TagRole', DEPLOY_ROLE, { 'aws:TagKeys': ['daypass:email', 'team'] })).toBe(false);
    expect(may('UntagRole', DEPLOY_ROLE, { 'aws:TagKeys': ['daypass:email'] })).toBe(false);
  });

  test('takes a deploy role out of any instance profile', () => {
    expect(may('RemoveRoleFromInstanceProfile', iam('instance-profile/some/where/x'))).toBe(true);
    expect(may('AddRoleToInstanceProfile', iam('instance-profile/some/where/x'))).toBe(false);
  });

  test.each([
    ['PassRole', DEPLOY_ROLE],
    ['UpdateAssumeRolePolicy', DEPLOY_ROLE],
    ['DeleteRolePermissionsBoundary', DEPLOY_ROLE],
    ['PutRolePermissionsBoundary', DEPLOY_ROLE],
    ['UpdateAssumeRolePolicy', iam('role/daypass-provisioner')],
    ['CreatePolicyVersion', BOUNDARY],
    ['DeletePolicy', BOUNDARY],
    ['SetDefaultPolicyVersion', BOUNDARY],
    ['CreateUser', iam('user/x')],
    ['CreateAccessKey', iam('user/x')],
  ])('never %s on %s', (action, resource) => {
    expect(may(action, resource, bounded)).toBe(false);
  });
});

type Policy = { ManagedPolicyName: string; Path: string; PolicyDocument: { Statement: Statement[] } };
const policyOf = (name: string, parameters: Record<string, string>, account = TARGET, partition = 'aws') =>
  new Synthesized('DaypassTarget', account, {}, {}, partition, parameters)
    .all<Policy>('AWS::IAM::ManagedPolicy')
    .find(({ ManagedPolicyName }) => ManagedPolicyName === name);
const trail = {
  TrailBucket: 'audit',
  TrailLogGroup: '/landing-zone/trail',
  TrailKeyArn: `arn:aws:kms:eu-west-1:${TARGET}:key/0b0c6a9e-6d0c-4c43-9a55-0d8a8a5f3b11`,
};
const longest = {
  TrailBucket: 'b'.repeat(63),
  TrailLogGroup: 'g'.repeat(64),
  TrailKeyArn: `arn:aws-us-gov:kms:ap-southeast-1:${TARGET}:key/mrk-${'0'.repeat(32)}`,
};
/** The size of a policy as IAM counts it, which is without white space, with the longest values of all parameters. */
const size = (name: string) =>
  JSON.stringify(policyOf(name, longest, TARGET, 'aws-us-gov')?.PolicyDocument).replace(/\s/g, '').length;
const own = (type: string) => iam(`${type}/deployed-by-daypass/app`);

describe('boundary', () => {
  const boundaryOf = (parameters: Record<string, string>) => policyOf('daypass-boundary', parameters);
  const policy = boundaryOf(trail);
  const statements = policy?.PolicyDocument.Statement ?? [];
  const verdict = (action: string, resource: string, context = {}) =>
    evaluate(statements, { action, resource, context });

  test('has the name that deploy roles carry, and fits into a managed policy', () => {
    expect(policy?.ManagedPolicyName).toBe('daypass-boundary');
    expect(policy).toHaveProperty('Path', '/');
  });

  test('stays below 6,000 characters of the 6,144 of a managed policy, with the longest values of all parameters', () => {
    const { Parameters } = exampleApp().synth().getStackByName('DaypassTarget').template;
    for (const [name, value] of Object.entries(longest)) {
      const pattern = new RegExp(`^${Parameters[name].AllowedPattern}$`);
      expect(value).toMatch(pattern);
      expect(`${value}0`).not.toMatch(pattern);
    }
    expect(size('daypass-boundary')).toBeLessThan(6000);
  });

  test.each([
    ['s3:DeleteObject', 'arn:aws:s3:::audit-1/AWSLogs/x'],
    ['s3:PutBucketPolicy', 'arn:aws:s3:::audit-1'],
    ['kms:ScheduleKeyDeletion', trail.TrailKeyArn],
    ['kms:DisableKey', trail.TrailKeyArn],
    ['kms:PutKeyPolicy', trail.TrailKeyArn],
    ['logs:DeleteLogGroup', `arn:aws:logs:eu-west-1:${TARGET}:log-group:/landing-zone/trail`],
    ['logs:PutRetentionPolicy', `arn:aws:logs:eu-west-1:${TARGET}:log-group:/landing-zone/trail:*`],
    ['logs:DeleteLogStream', `arn:aws:logs:eu-west-1:${TARGET}:log-group:/landing-zone/trail:log-stream:x`],
  ])('leaves what the trail writes to alone when the parameters name it (%s on %s)', (action, resource) => {
    const unnamed = boundaryOf({ TrailBucket: '', TrailLogGroup: '', TrailKeyArn: '' });
    const without = evaluate(unnamed?.PolicyDocument.Statement ?? [], { action, resource });
    expect([verdict(action, resource), without]).toEqual(['denied', 'allowed']);
  });

  test.each<[string, string, object?]>([
    ['s3:CreateBucket', 'arn:aws:s3:::app'],
    ['cloudformation:CreateStack', `arn:aws:cloudformation:eu-west-1:${TARGET}:stack/app/*`],
    ['cloudformation:DescribeStacks', `arn:aws:cloudformation:eu-west-1:${TARGET}:stack/DaypassTarget/1`],
    ['lambda:UpdateFunctionCode', `arn:aws:lambda:eu-west-1:${TARGET}:function:app`],
    ['ec2:RunInstances', '*'],
    ['eks:CreateCluster', '*'],
    ['sts:GetCallerIdentity', '*'],
    ['sts:AssumeRole', own('role')],
    ['organizations:DescribeOrganization', '*'],
    ['cloudtrail:LookupEvents', '*'],
    ['config:DescribeConfigRules', '*'],
    ['guardduty:ListFindings', '*'],
    ['access-analyzer:ValidatePolicy', '*'],
    ['ec2:CreateFlowLogs', '*'],
    ['logs:PutRetentionPolicy', `arn:aws:logs:eu-west-1:${TARGET}:log-group:app`],
    ['logs:DeleteLogGroup', `arn:aws:logs:eu-west-1:${TARGET}:log-group:app`],
    ['logs:FilterLogEvents', `arn:aws:logs:eu-west-1:${TARGET}:log-group:/landing-zone/trail`],
    ['kms:ScheduleKeyDeletion', `arn:aws:kms:eu-west-1:${TARGET}:key/app`],
    ['kms:DescribeKey', trail.TrailKeyArn],
    ['events:DeleteRule', `arn:aws:events:eu-west-1:${TARGET}:rule/app`],
    ['cloudwatch:DeleteAlarms', `arn:aws:cloudwatch:eu-west-1:${TARGET}:alarm:app`],
    ['ecr:GetAuthorizationToken', '*'],
    ['secretsmanager:GetSecretValue', '*'],
    ['acm:RequestCertificate', '*'],
    ['s3:GetObject', 'arn:aws:s3:::aws-cloudtrail-logs-222222222222-x/AWSLogs/x'],
    ['elasticmapreduce:AddJobFlowSteps', '*'],
    ['emr-containers:ListManagedEndpoints', '*'],
    ['iot:DescribeCertificate', '*'],
    ['iam:ListRoles', '*'],
    ['iam:GetRole', iam('role/admin')],
    ['iam:GetRole', DEPLOY_ROLE],
    ['iam:SimulatePrincipalPolicy', DEPLOY_ROLE],
    ['iam:GetOpenIDConnectProvider', iam('oidc-provider/x')],
    ['iam:CreateServiceLinkedRole', iam('role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS')],
    ['iam:PassRole', iam('role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling')],
    ['iam:CreateRole', own('role'), bounded],
    ['iam:CreateRole', own('role'), asWorkload],
    ['iam:PutRolePermissionsBoundary', own('role'), asWorkload],
    ['iam:PutRolePolicy', own('role'), bounded],
    ['iam:PutRolePolicy', own('role'), asWorkload],
    ['iam:PassRole', fixed('Network'), ofNetwork],
    ['sts:AssumeRole', fixed('Network'), ofNetwork],
    ['iam:AttachRolePolicy', own('role'), bounded],
    ['iam:DetachRolePolicy', own('role'), bounded],
    ['iam:DeleteRolePolicy', own('role'), bounded],
    ['iam:DeleteRole', own('role')],
    ['iam:PassRole', own('role')],
    ['iam:TagRole', own('role')],
    ['iam:UpdateAssumeRolePolicy', own('role')],
    ['iam:CreatePolicy', own('policy')],
    ['iam:CreatePolicyVersion', own('policy')],
    ['iam:CreateInstanceProfile', own('instance-profile')],
    ['iam:AddRoleToInstanceProfile', own('instance-profile')],
  ])('lets a deployment %s on %s', (action, resource, context = {}) => {
    expect(verdict(action, resource, context)).toBe('allowed');
  });

  const user = iam('user/someone');
  const admin = iam('role/admin');
  const provisioner = iam('role/daypass-provisioner');
  const elsewhere = { 'iam:PermissionsBoundary': iam('policy/mine') };
  const kubernetesJob = (role: string) => ({ 'emr-containers:ExecutionRoleArn': role });
  const clusterJob = (role: string) => ({ 'elasticmapreduce:ExecutionRoleArn': role });

  test.each<[string, string, string, object?]>([
    // Roles without the boundary.
    ['a role without boundary', 'iam:CreateRole', own('role')],
    ['a role with another boundary', 'iam:CreateRole', own('role'), elsewhere],
    ['a role of another path', 'iam:CreateRole', iam('role/app'), bounded],
    ['taking the boundary off', 'iam:DeleteRolePermissionsBoundary', own('role'), bounded],
    ['another boundary', 'iam:PutRolePermissionsBoundary', own('role'), elsewhere],
    ['a policy on a role without boundary', 'iam:PutRolePolicy', own('role')],
    // Roles that the platform team keeps.
    ['a fixed role of another persona', 'sts:AssumeRole', fixed('Container_Admin'), ofNetwork],
    ['passing a fixed role of another persona', 'iam:PassRole', fixed('Container_Admin'), ofNetwork],
    ['a fixed role without a persona', 'sts:AssumeRole', fixed('Network')],
    ['passing a fixed role without a persona', 'iam:PassRole', fixed('Network')],
    ['a fixed role, by a role of a deployment', 'sts:AssumeRole', fixed('Network'), ofARole],
    ['passing a fixed role, by a role of a deployment', 'iam:PassRole', fixed('Network'), ofARole],
    ['a fixed role, made', 'iam:CreateRole', fixed('Network'), { ...ofNetwork, ...bounded }],
    ['a fixed role, made as a workload', 'iam:CreateRole', fixed('Network'), { ...ofNetwork, ...asWorkload }],
    ["a fixed role's policies, inline", 'iam:PutRolePolicy', fixed('Network'), { ...ofNetwork, ...bounded }],
    ["a fixed role's policies, attached", 'iam:AttachRolePolicy', fixed('Network'), { ...ofNetwork, ...bounded }],
    ["a fixed role's trust", 'iam:UpdateAssumeRolePolicy', fixed('Network'), ofNetwork],
    ["a fixed role's boundary", 'iam:PutRolePermissionsBoundary', fixed('Network'), { ...ofNetwork, ...bounded }],
    ["a fixed role's tags", 'iam:TagRole', fixed('Network'), ofNetwork],
    ['a fixed role, deleted', 'iam:DeleteRole', fixed('Network'), ofNetwork],
    // Existing principals.
    ["an admin's policies, inline", 'iam:PutRolePolicy', admin, bounded],
    ["an admin's policies, attached", 'iam:AttachRolePolicy', admin, bounded],
    ["an admin's trust", 'iam:UpdateAssumeRolePolicy', admin],
    ["an admin's policy, new version", 'iam:CreatePolicyVersion', iam('policy/admin')],
    ["an admin's policy, old version", 'iam:SetDefaultPolicyVersion', iam('policy/admin')],
    ['being an admin', 'sts:AssumeRole', admin],
    ['being an admin elsewhere', 'sts:AssumeRole', iam('role/deployed-by-daypass/app', '333333333333')],
    ['being root', 'sts:AssumeRoot', iam('root', '333333333333')],
    ['being whoever delegated something', 'sts:GetDelegatedAccessToken', '*'],
    ['passing an admin to a service', 'iam:PassRole', admin],
    ['passing what stack sets run with', 'iam:PassRole', iam('role/stacksets-exec-0123')],
    ["CDK's roles", 'sts:AssumeRole', iam('role/cdk-hnb659fds-deploy-role-222222222222-us-east-1')],
    ['an instance profile of others', 'iam:AddRoleToInstanceProfile', iam('instance-profile/admin')],
    // Users, groups and their keys outlive a deployment.
    ['a user', 'iam:CreateUser', user, bounded],
    ['an access key', 'iam:CreateAccessKey', user],
    ['a password', 'iam:CreateLoginProfile', user],
    ['another password', 'iam:UpdateLoginProfile', user],
    ['a group', 'iam:AddUserToGroup', iam('group/admins')],
    ["a user's policies", 'iam:PutUserPolicy', user, bounded],
    ["a group's policies", 'iam:AttachGroupPolicy', iam('group/admins')],
    ['an SSH key', 'iam:UploadSSHPublicKey', user],
    ['a service credential', 'iam:CreateServiceSpecificCredential', user],
    ['a second factor', 'iam:DeactivateMFADevice', user],
    ['the password policy', 'iam:DeleteAccountPasswordPolicy', '*'],
    // Daypass.
    ['its own role, inline', 'iam:PutRolePolicy', DEPLOY_ROLE, bounded],
    ['its own role, attached', 'iam:AttachRolePolicy', DEPLOY_ROLE, bounded],
    ["its own role's guard", 'iam:DeleteRolePolicy', DEPLOY_ROLE, bounded],
    ["its own role's trust", 'iam:UpdateAssumeRolePolicy', DEPLOY_ROLE],
    ["its own role's boundary", 'iam:DeleteRolePermissionsBoundary', DEPLOY_ROLE, bounded],
    ["another deployment's role", 'sts:AssumeRole', iam('role/daypass/daypass-x')],
    ['passing a deploy role', 'iam:PassRole', DEPLOY_ROLE],
    ['a role among the deploy roles', 'iam:CreateRole', iam('role/daypass/daypass-x'), bounded],
    ['the boundary, new version', 'iam:CreatePolicyVersion', BOUNDARY],
    ['the boundary, deleted', 'iam:DeletePolicy', BOUNDARY],
    ['the boundary, old version', 'iam:SetDefaultPolicyVersion', BOUNDARY],
    ['the boundary of workloads, new version', 'iam:CreatePolicyVersion', WORKLOADS],
    ['the boundary of workloads, deleted', 'iam:DeletePolicy', WORKLOADS],
    ['the provisioner, assumed', 'sts:AssumeRole', provisioner],
    ['the provisioner, edited', 'iam:PutRolePolicy', provisioner, bounded],
    ['the provisioner, deleted', 'iam:DeleteRole', provisioner],
    [
      "the target's stack",
      'cloudformation:UpdateStack',
      `arn:aws:cloudformation:us-east-1:${TARGET}:stack/DaypassTarget/1`,
    ],
    [
      "a stack set's stack",
      'cloudformation:UpdateStack',
      `arn:aws:cloudformation:us-east-1:${TARGET}:stack/StackSet-x/1`,
    ],
    [
      "a stack set's change",
      'cloudformation:ExecuteChangeSet',
      `arn:aws:cloudformation:us-east-1:${TARGET}:stack/StackSet-x/1`,
    ],
    // Who is who, and what belongs to the organisation.
    ['an OIDC provider', 'iam:CreateOpenIDConnectProvider', iam('oidc-provider/x')],
    ["an OIDC provider's audience", 'iam:AddClientIDToOpenIDConnectProvider', iam('oidc-provider/x')],
    ["an OIDC provider's certificate", 'iam:UpdateOpenIDConnectProviderThumbprint', iam('oidc-provider/x')],
    ['a SAML provider', 'iam:UpdateSAMLProvider', iam('saml-provider/x')],
    ['a trust anchor', 'rolesanywhere:CreateTrustAnchor', '*'],
    ['an account assignment', 'sso:CreateAccountAssignment', '*'],
    ['a permission set', 'sso:PutInlinePolicyToPermissionSet', '*'],
    ["a group's members", 'identitystore:CreateGroupMembership', '*'],
    ["a directory's users", 'identity-sync:CreateSyncFilter', '*'],
    ['leaving the organisation', 'organizations:LeaveOrganization', '*'],
    ['an organisation’s policies', 'organizations:DetachPolicy', '*'],
    ['closing the account', 'account:CloseAccount', '*'],
    ['a stack set', 'cloudformation:CreateStackSet', '*'],
    ["a stack set's instances", 'cloudformation:CreateStackInstances', '*'],
    ["a directory user's password", 'ds:ResetUserPassword', '*'],
    ["a directory group's members", 'ds-data:AddGroupMember', '*'],
    ['a token of Identity Center', 'sso-oauth:CreateTokenWithIAM', '*'],
    ['what CodeStar hands out', 'codestar:CreateProjectFromTemplate', '*'],
    // What takes a role without passing it.
    ['a job on Kubernetes as an admin', 'emr-containers:StartJobRun', '*', kubernetesJob(admin)],
    ['a step on a cluster as an admin', 'elasticmapreduce:AddJobFlowSteps', '*', clusterJob(admin)],
    ["a cluster's session as an admin", 'elasticmapreduce:GetClusterSessionCredentials', '*', clusterJob(admin)],
    ["an endpoint's session", 'emr-containers:GetManagedEndpointSessionCredentials', '*'],
    ['a token of Airflow', 'airflow:CreateCliToken', '*'],
    ["an environment's credentials", 'datazone:GetEnvironmentCredentials', '*'],
    ["a device's certificate", 'iot:CreateKeysAndCertificate', '*'],
    ["a device's certificate, brought along", 'iot:RegisterCertificateWithoutCA', '*'],
    ["a device's certificate, from another account", 'iot:AcceptCertificateTransfer', '*'],
    ['a certificate of a private CA', 'acm-pca:IssueCertificate', '*'],
    ['a private CA, shared', 'acm-pca:PutPolicy', '*'],
    ["a certificate's private key", 'acm:ExportCertificate', '*'],
    ["a key for a user's file transfers", 'transfer:ImportSshPublicKey', '*'],
    ["a key for a user's shell", 'ec2-instance-connect:SendSSHPublicKey', '*'],
    ['a session in a notebook', 'sagemaker:CreatePresignedDomainUrl', '*'],
    ['data, as the role of an access grant', 's3:GetDataAccess', '*'],
    // The audit trail.
    ["the trail's bucket, emptied", 's3:DeleteObject', 'arn:aws:s3:::aws-cloudtrail-logs-222222222222-x/AWSLogs/x'],
    ["the trail's bucket, expiring", 's3:PutLifecycleConfiguration', 'arn:aws:s3:::aws-cloudtrail-logs-222222222222-x'],
    ['the recorder, narrowed', 'config:DisassociateResourceTypes', '*'],
    ['the findings, put away', 'guardduty:CreateFilter', '*'],
    ['the findings, trusted away', 'guardduty:CreateIPSet', '*'],
    [
      "the trail's log group",
      'logs:DeleteLogGroup',
      `arn:aws:logs:us-east-1:${TARGET}:log-group:aws-cloudtrail-logs-1`,
    ],
    ['the findings, archived', 'guardduty:ArchiveFindings', '*'],
    ['the findings, settled', 'securityhub:BatchUpdateFindings', '*'],
    ['the findings, filtered', 'inspector2:CreateFilter', '*'],
    ['the findings, archived by a rule', 'access-analyzer:CreateArchiveRule', '*'],
    ['the rules, deleted', 'config:DeleteConfigRule', '*'],
    ['the rules, replaced', 'config:PutConfigRule', '*'],
    ['the flow logs', 'ec2:DeleteFlowLogs', '*'],
    ["the resolver's queries", 'route53resolver:DisassociateResolverQueryLogConfig', '*'],
    ["the account's log policy", 'logs:PutAccountPolicy', '*'],
    ['what a witness will be able to do one day', 'guardduty:SilenceEverything', '*'],
    ['the trail, stopped', 'cloudtrail:StopLogging', '*'],
    ['the trail, deleted', 'cloudtrail:DeleteTrail', '*'],
    ['the trail, redirected', 'cloudtrail:UpdateTrail', '*'],
    ['the trail, narrowed', 'cloudtrail:PutEventSelectors', '*'],
    ['the recorder, stopped', 'config:StopConfigurationRecorder', '*'],
    ['the detector, deleted', 'guardduty:DeleteDetector', '*'],
  ])('keeps a deployment from %s (%s)', (_, action, resource, context = {}) => {
    expect(verdict(action, resource, context)).not.toBe('allowed');
  });

  test.each([
    ['lambda:UpdateFunctionCode', `arn:aws:lambda:us-east-1:${TARGET}:function:landing-zone`],
    ['cloudformation:UpdateStack', `arn:aws:cloudformation:us-east-1:${TARGET}:stack/landing-zone/1`],
    ['ssm:SendCommand', `arn:aws:ec2:us-east-1:${TARGET}:instance/i-1`],
    ['lambda:UntagResource', `arn:aws:lambda:us-east-1:${TARGET}:function:landing-zone`],
  ])('leaves what is protected alone (%s)', (action, resource) => {
    const tagged = (value: string) => verdict(action, resource, { 'aws:ResourceTag/daypass:protected': value });
    expect([tagged('true'), tagged('false')]).toEqual(['denied', 'allowed']);
  });

  test.each(['lambda:TagResource', 'lambda:UntagResource', 'ec2:CreateTags', 'cloudformation:CreateStack'])(
    'leaves the shield to others (%s)',
    (action) => {
      const tagging = (...keys: string[]) => verdict(action, '*', { 'aws:TagKeys': keys });
      expect(tagging('team', 'daypass:protected')).toBe('denied');
      // The key of a tag that a condition asks for is compared without regard to case.
      expect(tagging('Daypass:Protected')).toBe('denied');
      expect(tagging('team', 'daypass:other')).toBe('allowed');
    },
  );

  test.each([
    ['emr-containers:StartJobRun', 'emr-containers:ExecutionRoleArn'],
    ['elasticmapreduce:AddJobFlowSteps', 'elasticmapreduce:ExecutionRoleArn'],
  ])('lets a job run as a role of its own (%s)', (action, key) => {
    expect(verdict(action, '*', { [key]: own('role') })).toBe('allowed');
  });

  test('is written down for those who check policies without CDK', async () => {
    const written = new Synthesized('DaypassTarget', '${Account}', {}, {}, '${Partition}');
    for (const { ManagedPolicyName: name, PolicyDocument } of written.all<Policy>('AWS::IAM::ManagedPolicy')) {
      const document = `${JSON.stringify(PolicyDocument, null, 2)}\n`;
      await expect(document).toMatchFileSnapshot(`../../policies/${name.replace('daypass-', '')}.json`);
    }
  });

  test.each([
    ['sts:AssumeRole', provisioner],
    ['sts:AssumeRole', admin],
    ['sts:GetDelegatedAccessToken', '*'],
    ['iam:PutRolePolicy', DEPLOY_ROLE],
    ['iam:CreatePolicyVersion', BOUNDARY],
    ['iam:CreateSAMLProvider', iam('saml-provider/x')],
    ['organizations:LeaveOrganization', '*'],
    ['cloudtrail:StopLogging', '*'],
    ['ec2:DeleteFlowLogs', '*'],
    ['acm-pca:IssueCertificate', '*'],
  ])('says so explicitly for %s on %s, whatever a policy of the resource allows', (action, resource) => {
    expect(verdict(action, resource, bounded)).toBe('denied');
  });
});

describe('boundary of workloads', () => {
  const statements = (parameters = {}) => policyOf('daypass-workloads', parameters)?.PolicyDocument.Statement ?? [];
  const verdict = (action: string, resource: string, context = {}) =>
    evaluate(statements(trail), { action, resource, context });

  test('stays below 6,000 characters of the 6,144 of a managed policy, with the longest values of all parameters', () => {
    expect(size('daypass-workloads')).toBeLessThan(6000);
  });

  test.each([
    ['dynamodb:PutItem', `arn:aws:dynamodb:eu-west-1:${TARGET}:table/app`],
    ['s3:PutObject', 'arn:aws:s3:::app/x'],
    ['s3:DeleteObject', 'arn:aws:s3:::app/x'],
    ['sqs:SendMessage', `arn:aws:sqs:eu-west-1:${TARGET}:app`],
    ['logs:CreateLogGroup', `arn:aws:logs:eu-west-1:${TARGET}:log-group:app`],
    ['bedrock:InvokeModel', '*'],
    ['ecs:RunTask', `arn:aws:ecs:eu-west-1:${TARGET}:task-definition/app:1`],
    ['secretsmanager:GetSecretValue', `arn:aws:secretsmanager:eu-west-1:${TARGET}:secret:app`],
    ['iam:PassRole', own('role')],
    ['sts:AssumeRole', own('role')],
  ])('lets a workload %s on %s', (action, resource) => {
    expect(verdict(action, resource)).toBe('allowed');
  });

  test.each<[string, string, object?]>([
    ['iam:CreateRole', own('role'), asWorkload],
    ['iam:PutRolePolicy', own('role'), asWorkload],
    ['iam:PassRole', fixed('Network'), ofNetwork],
    ['sts:AssumeRole', fixed('Network'), ofNetwork],
    ['sts:AssumeRole', iam('role/admin')],
    ['cloudformation:UpdateStack', `arn:aws:cloudformation:eu-west-1:${TARGET}:stack/app/1`],
    ['secretsmanager:GetSecretValue', `arn:aws:secretsmanager:eu-west-1:${TARGET}:secret:network/x`],
    ['ec2:CreateVpcPeeringConnection', '*'],
    ['ssm:StartSession', '*'],
    ['cloudtrail:StopLogging', '*'],
    ['acm-pca:IssueCertificate', '*'],
    ['s3:DeleteObject', 'arn:aws:s3:::audit-1/AWSLogs/x'],
  ])('keeps a workload from %s on %s', (action, resource, context = {}) => {
    expect(verdict(action, resource, context)).not.toBe('allowed');
  });

  test.each([
    ['s3:DeleteObjectVersion', 'arn:aws:s3:::app/x'],
    ['dynamodb:DeleteTable', `arn:aws:dynamodb:eu-west-1:${TARGET}:table/app`],
    ['logs:DeleteLogGroup', `arn:aws:logs:eu-west-1:${TARGET}:log-group:app`],
  ])('lets a workload delete data only where the account says so (%s)', (action, resource) => {
    const where = (WorkloadsDeleteData: string) =>
      evaluate(statements({ ...trail, WorkloadsDeleteData }), { action, resource });
    expect([where('no'), where('yes')]).toEqual(['denied', 'allowed']);
  });
});
