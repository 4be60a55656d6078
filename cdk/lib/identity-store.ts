import { Aws, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';
import type { Config } from './config.ts';

/** What authn asks: who has this e-mail address, and is that user enabled? */
export const AUTHN_READS: Read[] = ['GetUserId', 'DescribeUser'];
/** What authz asks: does this group exist, and is the user in it? */
export const AUTHZ_READS: Read[] = ['GetGroupId', 'IsMemberInGroups'];

/**
 * What each read is about, besides the store: the resource types that it requires.
 * Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentitystore.html
 */
const INSIDE = {
  GetUserId: ['user'],
  DescribeUser: ['user'],
  GetGroupId: ['group'],
  IsMemberInGroups: ['group', 'membership', 'user'],
} as const;
export type Read = keyof typeof INSIDE;

/** Of the configured store; its ARN carries the organisation's management account, which need not be the caller's. */
const store = (config: Config) => `arn:${Aws.PARTITION}:identitystore::*:identitystore/${config.identity.store_id}`;
/** Users, groups and memberships have ARNs without account and store: the store beside them is what narrows down. */
const inside = (type: string) => `arn:${Aws.PARTITION}:identitystore:::${type}/*`;

/** The given reads on the configured identity store and on no other, each with what it reads and nothing else. */
export const readIdentityStore = (config: Config, reads: Read[]): iam.PolicyStatement[] => [
  ...reads.map(
    (read) =>
      new iam.PolicyStatement({
        sid: read,
        actions: [`identitystore:${read}`],
        resources: [store(config), ...INSIDE[read].map(inside)],
      }),
  ),
  ...decryptIdentities(config),
];

/**
 * Identity Store decrypts with a customer managed key in the name of the caller: the key for that service, that region and
 * that store only.
 * Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/advanced-kms-policy.html
 */
function decryptIdentities(config: Config): iam.PolicyStatement[] {
  const { kms_key_arn, region } = config.identity;
  if (kms_key_arn === undefined) return [];
  return [
    new iam.PolicyStatement({
      sid: 'DecryptIdentities',
      actions: ['kms:Decrypt'],
      resources: [kms_key_arn],
      conditions: {
        StringEquals: { 'kms:ViaService': `identitystore.${region}.amazonaws.com` },
        StringLike: { 'kms:EncryptionContext:aws:identitystore:identitystore-arn': store(config) },
      },
    }),
  ];
}

/** Says why the wildcards of {@link readIdentityStore} are there, to the checks of the construct that uses it. */
export function acknowledgeIdentityStore(scope: IConstruct, config: Config): void {
  const asFound = (arn: string) => `AwsSolutions-IAM5[Resource::${arn.replace(Aws.PARTITION, '<AWS::Partition>')}]`;
  Validations.of(scope).acknowledge(
    { id: asFound(store(config)), reason: 'The id names exactly one store, whichever account it belongs to.' },
    ...['user', 'group', 'membership'].map((type) => ({
      id: asFound(inside(type)),
      reason: 'These ARNs have no account and no store in them; every action is also bound to the one store.',
    })),
  );
}
