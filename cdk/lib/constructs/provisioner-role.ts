import { Duration, Tags, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { hubRoles } from '../hub-roles.ts';
import { DEPLOY_ROLES, iamArn, MISSING_DEPLOY_ROLES, PROVISIONER_ROLE, VERSION_TAG } from '../names.ts';
import { VERSION } from '../version.ts';
import { BOUNDARY_ARN } from './boundary.ts';

const INSTANCE_PROFILES = iamArn('instance-profile/*');
const AWS_MANAGED_POLICIES = iamArn('policy/*', 'aws');

/**
 * The role with which create-role and delete-role work in a target account.
 *
 * All it can do is manage deploy roles: give them something only while they carry the boundary, and take everything
 * away from them without conditions, so that no tampering keeps a deploy role from being deleted. It cannot pass a
 * role, touch the boundary, or touch itself. And it can see that a deploy role is gone.
 */
export class ProvisionerRole extends iam.Role {
  constructor(scope: Construct, id: string, { config }: { readonly config: Config }) {
    const { external_id, accepted_external_ids: others } = config;
    // Several while the id is changed: hub and targets are deployed one after the other.
    const externalIds = others.length > 0 ? [external_id, ...others] : external_id;
    const deployRoles = [iamArn(DEPLOY_ROLES)];
    const withBoundary = { StringEquals: { 'iam:PermissionsBoundary': BOUNDARY_ARN } };
    super(scope, id, {
      roleName: PROVISIONER_ROLE,
      description: 'Lets Daypass manage deploy roles, each under the boundary',
      maxSessionDuration: Duration.hours(1),
      assumedBy: hubRoles(config.hub.account_id, ['create-role', 'delete-role']).withConditions({
        StringEquals: { 'sts:ExternalId': externalIds },
      }),
      inlinePolicies: {
        provisioner: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({
              sid: 'Give',
              actions: ['iam:CreateRole', 'iam:PutRolePolicy'],
              resources: deployRoles,
              conditions: withBoundary,
            }),
            new iam.PolicyStatement({
              sid: 'GiveWhatAwsManages',
              actions: ['iam:AttachRolePolicy'],
              resources: deployRoles,
              conditions: { ...withBoundary, ArnLike: { 'iam:PolicyARN': AWS_MANAGED_POLICIES } },
            }),
            // A role that is created with tags needs this besides CreateRole. A role's tags are its sessions' tags, by
            // which others may know their friends: no tag but Daypass's own can be given.
            new iam.PolicyStatement({
              sid: 'GiveOwnTags',
              actions: ['iam:TagRole'],
              resources: deployRoles,
              conditions: { 'ForAllValues:StringLike': { 'aws:TagKeys': 'daypass:*' } },
            }),
            new iam.PolicyStatement({
              sid: 'TakeAway',
              actions: [
                'iam:GetRole',
                'iam:ListAttachedRolePolicies',
                'iam:ListInstanceProfilesForRole',
                'iam:ListRolePolicies',
                'iam:DetachRolePolicy',
                'iam:DeleteRolePolicy',
                'iam:DeleteRole',
              ],
              resources: deployRoles,
            }),
            // A call about a role that is not there carries no path, and is refused where only roles below a path may be
            // asked for: as if it were there, and somebody denied it. `NoSuchEntity` is what shows that access has ended.
            new iam.PolicyStatement({
              sid: 'SeeThatItIsGone',
              actions: ['iam:GetRole'],
              resources: [iamArn(MISSING_DEPLOY_ROLES)],
            }),
            new iam.PolicyStatement({
              sid: 'TakeOutOfInstanceProfiles',
              actions: ['iam:RemoveRoleFromInstanceProfile'],
              resources: [INSTANCE_PROFILES],
            }),
          ],
        }),
      },
    });
    Tags.of(this).add(VERSION_TAG, VERSION);
    Validations.of(this).acknowledge(
      {
        id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iam::<AWS::AccountId>:${DEPLOY_ROLES}]`,
        reason: 'A deploy role is named after its transaction, which does not exist yet.',
      },
      {
        id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iam::<AWS::AccountId>:${MISSING_DEPLOY_ROLES}]`,
        reason:
          'A deploy role that is not there is known by its name alone, and only whether it is there is asked. ' +
          'Of the roles that are there this covers daypass-provisioner: reading how it is set up gives its own session nothing.',
      },
      {
        id: 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iam::<AWS::AccountId>:instance-profile/*]',
        reason:
          'Someone may have put a deploy role into any instance profile, which keeps it from being deleted. ' +
          'The action knows no narrower resource and no condition.',
      },
    );
  }
}
