import { Aws, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { BOUNDARY_POLICY, DEPLOYED_PATH, iamArn, PROTECTED_TAG, PROVISIONER_ROLE, TARGET_STACK } from '../names.ts';

/**
 * The permissions boundary of every deploy role, and of every role that a deployment creates.
 *
 * It allows what deployments need and keeps them from getting more than they were given, by one rule: in IAM, a
 * deployment owns what is below the path `/deployed-by-daypass/` and nothing else. Roles there must carry this
 * boundary; a deployment may pass and assume only those. The path is what makes the rule whole: no condition can ask
 * whether a role that is *passed* or *assumed*, or that a policy is attached to already, has a boundary.
 *
 * A persona that may create roles is as strong as the boundary, since it may give them all that the boundary allows.
 *
 * The allow statements are closed (IAM and the services that decide who is who are not in them, whatever AWS adds). The
 * deny statements hold whatever a resource's own policy says.
 */
export class Boundary extends iam.ManagedPolicy {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      managedPolicyName: BOUNDARY_POLICY,
      description: 'Upper limit of what a deployment through Daypass can do, and of every role it creates',
      document: new iam.PolicyDocument({ statements: boundaryStatements() }),
    });
    const reason =
      'A boundary grants nothing. It caps what personas grant, so its allow statement is open but for the services ' +
      'it withholds, and its deny statements are wide on purpose.';
    Validations.of(this).acknowledge(
      { id: 'AwsSolutions-IAM5', reason },
      { id: 'CloudFormation-Validate::W2512', reason },
    );
  }
}

/** ARN of the boundary, written out: the document refers to itself. */
export const BOUNDARY_ARN = iamArn(`policy/${BOUNDARY_POLICY}`);

const { DENY } = iam.Effect;
const READS = ['iam:Get*', 'iam:List*', 'iam:Simulate*', 'iam:Generate*'];
const deployed = (type: string) => iamArn(`${type}${DEPLOYED_PATH}*`);
const stack = (name: string) => `arn:${Aws.PARTITION}:cloudformation:*:${Aws.ACCOUNT_ID}:stack/${name}/*`;

function boundaryStatements(): iam.PolicyStatement[] {
  return [
    // What deployments need: everything but the services that decide who is who and what belongs to the organisation.
    new iam.PolicyStatement({
      sid: 'Deploy',
      notActions: [
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
      ],
      resources: ['*'],
    }),
    new iam.PolicyStatement({
      sid: 'LookAround',
      actions: [...READS, 'account:Get*', 'account:List*', 'organizations:Describe*', 'organizations:List*'],
      resources: ['*'],
    }),
    new iam.PolicyStatement({
      sid: 'RolesOfServices',
      actions: ['iam:CreateServiceLinkedRole', 'iam:DeleteServiceLinkedRole', 'iam:PassRole'],
      resources: [iamArn('role/aws-service-role/*')],
    }),
    // Roles of the deployment's own. The first statement has the actions that can be tied to the boundary.
    new iam.PolicyStatement({
      sid: 'OwnRolesWithBoundary',
      actions: [
        'iam:CreateRole',
        'iam:PutRolePermissionsBoundary',
        'iam:AttachRolePolicy',
        'iam:DetachRolePolicy',
        'iam:PutRolePolicy',
        'iam:DeleteRolePolicy',
      ],
      resources: [deployed('role')],
      conditions: { StringEquals: { 'iam:PermissionsBoundary': BOUNDARY_ARN } },
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
      actions: [
        'iam:CreatePolicy',
        'iam:CreatePolicyVersion',
        'iam:DeletePolicy',
        'iam:DeletePolicyVersion',
        'iam:SetDefaultPolicyVersion',
        'iam:TagPolicy',
        'iam:UntagPolicy',
        'iam:CreateInstanceProfile',
        'iam:DeleteInstanceProfile',
        'iam:AddRoleToInstanceProfile',
        'iam:RemoveRoleFromInstanceProfile',
        'iam:TagInstanceProfile',
        'iam:UntagInstanceProfile',
      ],
      resources: [deployed('policy'), deployed('instance-profile')],
    }),

    // A role of another path may have no boundary, and a role of another account is another transaction's business.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'AssumeOwnRolesOnly',
      actions: ['sts:AssumeRole', 'sts:AssumeRoot', 'sts:GetDelegatedAccessToken'],
      notResources: [deployed('role')],
    }),
    // EMR takes a role for a job without asking for `iam:PassRole`: a key of its own names the role.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'OwnRolesForKubernetesJobs',
      actions: [
        'emr-containers:CreateManagedEndpoint',
        'emr-containers:GetManagedEndpointSessionCredentials',
        'emr-containers:StartJobRun',
      ],
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
    // the bucket of a trail, by the name that CloudTrail proposes for it.
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotDaypassItself',
      notActions: [
        ...READS,
        'cloudformation:Describe*',
        'cloudformation:Get*',
        'cloudformation:List*',
        's3:Get*',
        's3:List*',
      ],
      resources: [
        iamArn('role/daypass/*'),
        iamArn(`role/${PROVISIONER_ROLE}`),
        BOUNDARY_ARN,
        stack(TARGET_STACK),
        stack('StackSet-*'),
        stack('CDKToolkit'),
        `arn:${Aws.PARTITION}:s3:::aws-cloudtrail-logs-*`,
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
    // Credentials of a stronger role that no tag can shield: IAM shows these calls no tags, or not those of the role's
    // owner (a device's certificate takes the role of any role alias).
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotCredentialsOfOthers',
      actions: [
        'airflow:Create*Token',
        'airflow:InvokeRestApi',
        'datazone:Get*Credentials',
        'ds:ResetUserPassword',
        'iot:Create*Certificate',
        'iot:CreateCertificateFromCsr',
        'iot:CreateProvisioningClaim',
        'iot:Register*',
      ],
      resources: ['*'],
    }),
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotIdentityNorOrganization',
      actions: [
        'account:CloseAccount',
        'cloudformation:*OrganizationsAccess',
        'cloudformation:*StackInstances',
        'cloudformation:*StackSet',
        'iam:*ClientID*',
        'iam:Create*Provider',
        'iam:Delete*Provider',
        'iam:Update*Provider*',
        'organizations:LeaveOrganization',
      ],
      resources: ['*'],
    }),
    new iam.PolicyStatement({
      effect: DENY,
      sid: 'NotTheAuditTrail',
      actions: [
        'access-analyzer:DeleteAnalyzer',
        'cloudtrail:Delete*',
        'cloudtrail:Deregister*',
        'cloudtrail:Put*',
        'cloudtrail:Stop*',
        'cloudtrail:Update*',
        'config:*ConfigurationRecorder',
        'config:*DeliveryChannel',
        'config:DisassociateResourceTypes',
        'guardduty:CreateFilter',
        'guardduty:Create*Set',
        'guardduty:Delete*',
        'guardduty:Disassociate*',
        'guardduty:Stop*',
        'guardduty:Update*',
        'securityhub:Delete*',
        'securityhub:Disable*',
        'securityhub:Disassociate*',
      ],
      resources: ['*'],
    }),
  ];
}
