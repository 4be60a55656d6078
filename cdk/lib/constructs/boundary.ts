import { Aws, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import {
  BOUNDARY_POLICY,
  DEPLOYED_PATH,
  FIXED_PATH,
  iamArn,
  PERSONA_TAG,
  PROTECTED_TAG,
  PROVISIONER_ROLE,
  TARGET_STACK,
  WORKLOADS_POLICY,
} from '../names.ts';
import type { Trail } from './trail.ts';

/**
 * The permissions boundary of every deploy role.
 *
 * It allows what deployments need and keeps them from getting more than they were given, by one rule: in IAM, a
 * deployment owns what is below the path `/deployed-by-daypass/` and nothing else. Roles there must carry this
 * boundary or the one of workloads; a deployment may pass and assume only those, and the roles that the platform team
 * keeps for its persona. The path is what makes the rule whole: no condition can ask whether a role that is *passed* or
 * *assumed*, or that a policy is attached to already, has a boundary.
 *
 * A persona that may create roles is as strong as the boundary that it has to give them, since it may give them all that
 * this boundary allows. Personas therefore require the boundary of workloads.
 *
 * The allow statements are closed: IAM, the services that decide who is who, and those that record or find are not in
 * them, whatever AWS adds. The deny statements hold whatever a resource's own policy says. What is left of the actions that
 * silence a witness or hand out credentials is in `policies/accepted-actions.json`, with the reasons.
 */
export class Boundary extends iam.ManagedPolicy {
  constructor(scope: Construct, id: string, trail: Trail) {
    super(scope, id, {
      managedPolicyName: BOUNDARY_POLICY,
      description: 'Upper limit of what a deployment through Daypass can do',
      document: new iam.PolicyDocument({ statements: boundaryStatements(trail) }),
    });
    acknowledgeWidth(this, 'what personas grant');
  }
}

/** Says why a boundary, which caps this, is wide: for the checks of templates. */
export function acknowledgeWidth(boundary: iam.ManagedPolicy, caps: string): void {
  const reason =
    `A boundary grants nothing. It caps ${caps}, so its allow statement is open but for the services it withholds, and ` +
    'its deny statements are wide on purpose.';
  Validations.of(boundary).acknowledge(
    { id: 'AwsSolutions-IAM5', reason },
    { id: 'CloudFormation-Validate::W2512', reason },
  );
}

/** ARNs of the boundaries, written out: the document refers to itself. */
export const BOUNDARY_ARN = iamArn(`policy/${BOUNDARY_POLICY}`);
export const WORKLOADS_ARN = iamArn(`policy/${WORKLOADS_POLICY}`);

/** The services that decide who is who, and what belongs to the organisation. */
export const IDENTITY = [
  'account:*',
  // Ended in 2024, and never asked whether the caller may have what it handed out.
  'codestar:*',
  'ds-data:*',
  'iam:*',
  'identity-sync:*',
  'identitystore:*',
  'identitystore-auth:*',
  'organizations:*',
  'rolesanywhere:*',
  'sso:*',
  'sso-directory:*',
  'sso-oauth:*',
];

/** The services that record what is done in an account, or find what is wrong with it. */
export const WITNESSES = [
  'access-analyzer',
  'auditmanager',
  'cloudtrail',
  'config',
  'detective',
  'guardduty',
  'inspector',
  'inspector2',
  'macie2',
  'network-security-director',
  'oam',
  'observabilityadmin',
  'security-ir',
  'securityagent',
  'securityhub',
  'securitylake',
  'trustedadvisor',
];

/** What deployments read of them: policies are checked, what is recorded and found is looked at. */
const WITNESS_READS = [
  'access-analyzer:Check*',
  'access-analyzer:Validate*',
  'cloudtrail:Describe*',
  'cloudtrail:Get*',
  'cloudtrail:List*',
  'cloudtrail:Lookup*',
  'config:Describe*',
  'config:Get*',
  'config:List*',
  'guardduty:Get*',
  'guardduty:List*',
  'inspector2:List*',
  'securityhub:Get*',
];

/**
 * What hands out credentials of somebody else (a token, a password, a session or a certificate of a role, a person or a
 * device), or takes a key of the caller's for what is not the caller's. No deployment needs it, and no app of one.
 */
export const CREDENTIALS = [
  'acm-pca:IssueCertificate',
  // Another account could issue certificates then.
  'acm-pca:PutPolicy',
  'acm:Export*',
  'aidevops:*Login*',
  'airflow:Create*Token',
  'airflow:InvokeRestApi',
  'amplifybackend:*Token',
  'athena:*Url',
  'cloud9:*Token',
  'codeconnections:GetInd*',
  'codestar-connections:GetInd*',
  'cognito-identity:*ForDeveloper*',
  'connect:*Token',
  'datazone:*Login*',
  'datazone:*Credentials',
  'ds:RegisterCert*',
  'ds:Reset*',
  'ec2-instance-connect:Send*',
  'ec2:AssociateEnclave*',
  'elasticmapreduce:*Presigned*',
  'elasticmapreduce:*SessionCred*',
  'emr-containers:*SessionCred*',
  'finspace-api:*',
  'finspace:Reset*',
  'gamelift:Get*Access',
  // A device's certificate takes the role of any role alias.
  'iot:Accept*',
  'iot:Create*Certificate*',
  'iot:*Claim',
  'iot:Register*',
  'lakeformation:GetTemp*',
  'license-manager:*Token',
  'lightsail:*Access*',
  'lightsail:*Password',
  'lightsail:Download*',
  'pca-connector-ad:*',
  'pca-connector-scep:*',
  'quicksight:GetAuthCode',
  'route53domains:*AuthCode',
  's3:GetDataAccess',
  'sagemaker:*Presigned*',
  'sagemaker:StartSession',
  'ssm:GetAccessToken',
  'states:Reveal*',
  'transfer:ImportSsh*',
  'wickr:*Session',
  'workmail:Assume*',
  'workmail:Reset*',
];

/** What is the organisation's, and who is who: not allowed to begin with, and said explicitly. */
const ORGANIZATION = [
  'account:CloseAccount',
  'cloudformation:*OrganizationsAccess',
  'cloudformation:*StackInstances',
  'cloudformation:*StackSet',
  'iam:*ClientID*',
  'iam:Create*Provider',
  'iam:Delete*Provider',
  'iam:Update*Provider*',
  'organizations:LeaveOrganization',
];

/** Records that other services than the witnesses make of an account or its network; and the trail, explicitly. */
export const RECORDS = [
  'bedrock:DeleteModelInvocation*',
  'bedrock:PutModelInvocation*',
  'cloudtrail:Delete*',
  'cloudtrail:Put*',
  'cloudtrail:Stop*',
  'cloudtrail:Update*',
  'ds:DeleteLog*',
  'ec2:DeleteFlowLogs',
  'logs:*AccountPolicy',
  'route53:DeleteQuery*',
  'route53resolver:D*QueryLogConfig',
];

const { DENY } = iam.Effect;
const READS = ['iam:Get*', 'iam:List*', 'iam:Simulate*', 'iam:Generate*'];
// IAM counts the characters of a policy, so neither the partition is named, nor the account where no other can be meant.
export const deployed = (type: string) => `arn:*:iam::${Aws.ACCOUNT_ID}:${type}${DEPLOYED_PATH}*`;
/** The roles that the platform team keeps for the persona of the caller. A role without a persona has none. */
const FIXED_ROLES = `arn:*:iam::${Aws.ACCOUNT_ID}:role${FIXED_PATH}\${aws:PrincipalTag/${PERSONA_TAG}}/*`;
const stack = (name: string) => `arn:*:cloudformation:*:*:stack/${name}/*`;

function boundaryStatements(trail: Trail): iam.PolicyStatement[] {
  return [
    // What deployments need: everything but the services that decide who is who, what belongs to the organisation, and
    // the witnesses.
    new iam.PolicyStatement({
      sid: 'Deploy',
      notActions: [...IDENTITY, ...WITNESSES.map((service) => `${service}:*`)],
      resources: ['*'],
    }),
    new iam.PolicyStatement({
      sid: 'LookAround',
      actions: [
        ...READS,
        ...WITNESS_READS,
        'account:Get*',
        'account:List*',
        'organizations:Describe*',
        'organizations:List*',
      ],
      resources: ['*'],
    }),
    new iam.PolicyStatement({
      sid: 'RolesOfServices',
      actions: ['iam:CreateServiceLinkedRole', 'iam:DeleteServiceLinkedRole', 'iam:PassRole'],
      resources: ['arn:*:iam::*:role/aws-service-role/*'],
    }),
    // Roles of the deployment's own. The first statement has the actions that can be tied to the boundary.
    new iam.PolicyStatement({
      sid: 'OwnRolesWithBoundary',
      actions: ['iam:CreateRole', 'iam:PutRolePermissionsBoundary', 'iam:*RolePolicy'],
      resources: [deployed('role')],
      conditions: { StringEquals: { 'iam:PermissionsBoundary': [BOUNDARY_ARN, WORKLOADS_ARN] } },
    }),
    new iam.PolicyStatement({
      sid: 'OwnRoles',
      actions: [
        'iam:DeleteRole',
        'iam:PassRole',
        'iam:TagRole',
        'iam:UntagRole',
        'iam:UpdateAssumeRolePolicy',
        'iam:UpdateRole',
        'iam:UpdateRoleDescription',
      ],
      resources: [deployed('role')],
    }),
    new iam.PolicyStatement({
      sid: 'OwnPoliciesAndProfiles',
      // All that IAM can do to them: what else matches is about a role, a user or a group.
      actions: ['iam:*InstanceProfile', 'iam:*Policy', 'iam:*PolicyVersion'],
      resources: [deployed('policy'), deployed('instance-profile')],
    }),

    new iam.PolicyStatement({ sid: 'FixedRoles', actions: ['iam:PassRole'], resources: [FIXED_ROLES] }),
    // A role of a deployment may be given any tag, and so any persona.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'OnlyDeployRoles',
      actions: ['iam:PassRole', 'sts:AssumeRole'],
      resources: [`arn:*:iam::*:role${FIXED_PATH}*`],
      conditions: { ArnNotLike: { 'aws:PrincipalArn': 'arn:*:iam::*:role/daypass/*' } },
    }),
    ...sharedDenials(trail, [deployed('role'), FIXED_ROLES]),
    // No service's own policy opens these: whatever a resource's policy says, and whichever resource it is.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotWhatIsOthers',
      actions: [...CREDENTIALS, ...ORGANIZATION, ...RECORDS],
      resources: ['*'],
    }),
  ];
}

/** What is denied to deployments and to workloads, whatever a resource's own policy says; `assumable` are roles. */
export function sharedDenials(trail: Trail, assumable: string[]): iam.PolicyStatement[] {
  return [
    // A role of another path may have no boundary, and a role of another account is another transaction's business.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'AssumeOwnRolesOnly',
      actions: ['sts:AssumeRole', 'sts:AssumeRoot', 'sts:GetDelegatedAccessToken'],
      notResources: assumable,
    }),
    // EMR takes a role for a job without asking for `iam:PassRole`: a key of its own names the role.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'OwnRolesForKubernetesJobs',
      actions: ['emr-containers:CreateManagedEndpoint', 'emr-containers:StartJobRun'],
      resources: ['*'],
      conditions: { ArnNotLike: { 'emr-containers:ExecutionRoleArn': deployed('role') } },
    }),
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'OwnRolesForClusterJobs',
      actions: ['elasticmapreduce:*'],
      resources: ['*'],
      conditions: {
        ArnNotLike: { 'elasticmapreduce:ExecutionRoleArn': deployed('role') },
        Null: { 'elasticmapreduce:ExecutionRoleArn': 'false' },
      },
    }),
    // Daypass itself; the stacks that CloudFormation runs with a role of its own (stack sets) or that set up CDK; and
    // what a trail writes to: by the name that CloudTrail proposes for it, and by the parameters of the stack.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotDaypassItself',
      notActions: [
        ...READS,
        'cloudformation:Describe*',
        'cloudformation:Get*',
        'cloudformation:List*',
        'kms:Describe*',
        'logs:Describe*',
        'logs:Filter*',
        'logs:Get*',
        's3:Get*',
        's3:List*',
      ],
      resources: [
        'arn:*:iam::*:role/daypass/*',
        `arn:*:iam::*:role/${PROVISIONER_ROLE}`,
        // Both boundaries.
        'arn:*:iam::*:policy/daypass-*',
        stack(TARGET_STACK),
        stack('StackSet-*'),
        stack('CDKToolkit'),
        'arn:*:s3:::aws-cloudtrail-logs-*',
        'arn:*:logs:*:*:log-group:aws-cloudtrail-logs-*',
        ...trail.arns,
      ],
    }),
    // Stacks, functions and machines that already run with a stronger role: their owner shields them with the tag,
    // which no deployment may set or remove.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotWhatIsProtected',
      actions: ['*'],
      resources: ['*'],
      conditions: { StringEquals: { [`aws:ResourceTag/${PROTECTED_TAG}`]: 'true' } },
    }),
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotTheShield',
      actions: ['*'],
      resources: ['*'],
      conditions: { 'ForAnyValue:StringEqualsIgnoreCase': { 'aws:TagKeys': PROTECTED_TAG } },
    }),
  ];
}
