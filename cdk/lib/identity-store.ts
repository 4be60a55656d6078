import { Aws, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';
import type { Config } from './config.ts';

/** What authn asks: who has this e-mail address, and is that user enabled? */
export const AUTHN_READS = ['identitystore:GetUserId', 'identitystore:DescribeUser'];
/** What authz asks: does this group exist, and is the user in it? */
export const AUTHZ_READS = ['identitystore:GetGroupId', 'identitystore:IsMemberInGroups'];

/** Of the configured store; its ARN carries the organisation's management account, which need not be the caller's. */
const store = (config: Config) => `arn:${Aws.PARTITION}:identitystore::*:identitystore/${config.identity.store_id}`;
/** Users, groups and memberships have ARNs without account and store: the store beside them is what narrows down. */
const inside = ['user', 'group', 'membership'].map((type) => `arn:${Aws.PARTITION}:identitystore:::${type}/*`);

/** The given reads on the configured identity store and on no other. */
export const readIdentityStore = (config: Config, actions: string[]): iam.PolicyStatement =>
  new iam.PolicyStatement({ sid: 'IdentityStore', actions, resources: [store(config), ...inside] });

/** Says why the wildcards of {@link readIdentityStore} are there, to the checks of the construct that uses it. */
export function acknowledgeIdentityStore(scope: IConstruct, config: Config): void {
  const asFound = (arn: string) => `AwsSolutions-IAM5[Resource::${arn.replace(Aws.PARTITION, '<AWS::Partition>')}]`;
  Validations.of(scope).acknowledge(
    { id: asFound(store(config)), reason: 'The id names exactly one store, whichever account it belongs to.' },
    ...inside.map((arn) => ({
      id: asFound(arn),
      reason: 'These ARNs have no account and no store in them; every action is also bound to the one store.',
    })),
  );
}
