import { Duration, Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { DEPROVISION_MACHINE, INVOKER_ROLE } from '../names.ts';
import { limitTrustPolicy } from '../quotas.ts';

const ISSUER = 'token.actions.githubusercontent.com';

export interface InvokerRoleProps {
  readonly config: Config;
  readonly provision: sfn.IStateMachine;
  readonly renew: sfn.IStateMachine;
  readonly deprovision: sfn.IStateMachine;
  /** The key that a pipeline encrypts its identity token to. */
  readonly tokenKey: kms.IKey;
}

/** The role with which a pipeline asks for a deploy role, renews its credentials and gives it back. */
export class InvokerRole extends iam.Role {
  constructor(scope: Construct, id: string, { config, provision, renew, deprovision, tokenKey }: InvokerRoleProps) {
    const { partition, region, account } = Stack.of(scope);
    const executions = `arn:${partition}:states:${region}:${account}:execution:${DEPROVISION_MACHINE}:*`;
    const principals: iam.PrincipalBase[] = (config.invoker_principal_arns ?? []).map(
      (arn) => new iam.ArnPrincipal(arn),
    );
    if (config.github) principals.push(githubWorkflows(scope, config, config.github));

    super(scope, id, {
      roleName: INVOKER_ROLE,
      description: 'Lets pipelines start provisioning, renewal and deprovisioning',
      maxSessionDuration: Duration.hours(1),
      assumedBy: new iam.CompositePrincipal(...(principals as [iam.PrincipalBase, ...iam.PrincipalBase[]])),
      inlinePolicies: {
        invoker: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({
              sid: 'Provision',
              actions: ['states:StartSyncExecution'],
              resources: [provision.stateMachineArn],
            }),
            new iam.PolicyStatement({
              sid: 'Renew',
              actions: ['states:StartSyncExecution'],
              resources: [renew.stateMachineArn],
            }),
            new iam.PolicyStatement({
              sid: 'Release',
              actions: ['states:StartExecution'],
              resources: [deprovision.stateMachineArn],
            }),
            new iam.PolicyStatement({
              sid: 'EncryptIdentityToken',
              actions: ['kms:Encrypt', 'kms:GetPublicKey'],
              resources: [tokenKey.keyArn],
            }),
            new iam.PolicyStatement({
              sid: 'SeeVersions',
              actions: ['states:ListTagsForResource'],
              resources: [provision, renew, deprovision].map(({ stateMachineArn }) => stateMachineArn),
            }),
            new iam.PolicyStatement({
              sid: 'WatchRelease',
              actions: ['states:DescribeExecution'],
              resources: [executions],
            }),
          ],
        }),
      },
    });
    limitTrustPolicy(this, 'list fewer or shorter `github.job_workflow_refs` and `invoker_principal_arns`');
    Validations.of(this).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${executions}]`,
      reason: 'An execution is named after its transaction, which does not exist before it is started.',
    });
  }
}

/**
 * Workflows of the owner's repositories, as far as they run in one of the listed workflow files.
 *
 * IAM evaluates `job_workflow_ref` and `repository`, but has no key for `repository_owner`: the owner is matched as the
 * first part of `repository`. `sub` is matched as well: IAM wants it in every trust policy for this issuer. Repositories
 * from July 2026 on have the owner's id in it (`repo:owner@id/repo@id:…`), which a later owner of the same name does not
 * get; older ones (`repo:owner/repo:…`) do not have it. They are let in where every request has to prove the owner's id by
 * its identity token. An environment that is open to requests without a token would be open to that later owner.
 */
function githubWorkflows(
  scope: Construct,
  { identity_tokens }: Config,
  { owner, owner_id, job_workflow_refs, oidc_provider_arn }: NonNullable<Config['github']>,
): iam.PrincipalBase {
  const provider =
    oidc_provider_arn ??
    new iam.OidcProviderNative(scope, 'GitHub', { url: `https://${ISSUER}`, clientIds: ['sts.amazonaws.com'] })
      .oidcProviderArn;
  const withId = `repo:${owner}@${owner_id ?? '*'}/*`;
  return new iam.WebIdentityPrincipal(provider, {
    StringEquals: { [`${ISSUER}:aud`]: 'sts.amazonaws.com' },
    StringLike: {
      [`${ISSUER}:sub`]: owner_id && !isOwnerProven(identity_tokens, owner_id) ? withId : [`repo:${owner}/*`, withId],
      [`${ISSUER}:repository`]: `${owner}/*`,
      [`${ISSUER}:job_workflow_ref`]: job_workflow_refs,
    },
  });
}

/** Whether no request gets anything without an identity token that has this id of the repository's owner. */
function isOwnerProven({ optional_in, issuers }: Config['identity_tokens'], owner_id: string): boolean {
  // Of whatever kind: an issuer of kind other may be GitHub, too.
  const ofGithub = issuers.filter(({ provider, url }) => provider === 'github' || url.startsWith(`https://${ISSUER}`));
  const isCompared = ofGithub.every(({ claims }) => claims.repository_owner_id?.every((id) => id === owner_id));
  return optional_in.length === 0 && isCompared;
}
