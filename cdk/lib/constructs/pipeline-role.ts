import { Duration, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { DEPLOY_ROLES, iamArn, PIPELINE_ROLE, TRANSACTION_TAG } from '../names.ts';

const UUID = '????????-????-????-????-????????????';

/**
 * The role that pipelines' session credentials come from.
 *
 * Only issue-creds may assume it, and only for one transaction and one person: the trust policy refuses a session
 * that lacks the transaction tag, would not pass it on, or names nobody. All that the session can do is assume deploy
 * roles.
 */
export class PipelineRole extends iam.Role {
  constructor(scope: Construct, id: string, props: { readonly issuer: iam.IRole }) {
    const issuer = new iam.ArnPrincipal(props.issuer.roleArn);
    const taggedWithTransaction = { [`aws:RequestTag/${TRANSACTION_TAG}`]: UUID };
    super(scope, id, {
      roleName: PIPELINE_ROLE,
      description: 'Source of the session credentials that Daypass issues; can only assume deploy roles',
      maxSessionDuration: Duration.hours(1),
      assumedBy: issuer.withConditions({ StringLike: { ...taggedWithTransaction, 'sts:SourceIdentity': '??*' } }),
      inlinePolicies: {
        pipeline: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({
              sid: 'DeployRoles',
              actions: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
              resources: [iamArn(DEPLOY_ROLES, '*')],
            }),
          ],
        }),
      },
    });
    // Each action has its own statement, with the keys that are documented for it.
    this.assumeRolePolicy?.addStatements(
      new iam.PolicyStatement({
        principals: [issuer],
        actions: ['sts:TagSession'],
        conditions: {
          StringLike: taggedWithTransaction,
          'ForAnyValue:StringEquals': { 'sts:TransitiveTagKeys': TRANSACTION_TAG },
        },
      }),
      new iam.PolicyStatement({
        principals: [issuer],
        actions: ['sts:SetSourceIdentity'],
        conditions: { StringLike: { 'sts:SourceIdentity': '??*' } },
      }),
    );
    Validations.of(this).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iam::*:role/daypass/daypass-*]',
      reason:
        'A deploy role is named after its transaction and lives in any target account. The session policy, the ' +
        'transaction tag and the trust policy of the deploy role each narrow a session down to one role.',
    });
  }
}
