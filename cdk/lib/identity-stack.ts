import { CfnOutput, Duration, LegacyStackSynthesizer, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { hubRoles } from './hub-roles.ts';
import { AUTHN_READS, AUTHZ_READS, acknowledgeIdentityStore, readIdentityStore } from './identity-store.ts';
import { IDENTITY_READER_ROLE, IDENTITY_STACK } from './names.ts';

/** The reader role in the account that Identity Center is managed from, when that is not the hub. */
export class IdentityStack extends Stack {
  constructor(scope: Construct, { config }: { readonly config: Config }) {
    super(scope, IDENTITY_STACK, {
      description: 'Daypass identity: lets the hub look up users and groups in Identity Center',
      env: { account: config.identity.account_id, region: config.identity.region },
      synthesizer: new LegacyStackSynthesizer(),
    });
    const reader = new iam.Role(this, 'Reader', {
      roleName: IDENTITY_READER_ROLE,
      description: 'Lets Daypass look up users, groups and memberships',
      maxSessionDuration: Duration.hours(1),
      assumedBy: hubRoles(config.hub.account_id, ['authn', 'authz']),
      inlinePolicies: {
        reader: new iam.PolicyDocument({ statements: readIdentityStore(config, [...AUTHN_READS, ...AUTHZ_READS]) }),
      },
    });
    acknowledgeIdentityStore(reader, config);
    new CfnOutput(this, 'ReaderRoleArn', { value: reader.roleArn });
  }
}
