import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { TOKEN_KEY_ALIAS, USED_TOKENS_TABLE } from '../names.ts';

/**
 * What identity tokens need: the key that they travel encrypted to, and the memory of those that were used.
 *
 * The key is asymmetric: a pipeline reads the public half and encrypts without asking anybody; the private half never
 * leaves KMS, and only prove may have it used. KMS does not rotate such keys, and what is encrypted to this one is
 * worthless when the token has expired. The table is no audit trail: that a token was used matters until it
 * expires, then DynamoDB forgets it. Who used it stands in the transaction.
 */
export class IdentityTokens extends Construct {
  readonly key: kms.Key;
  readonly used: dynamodb.Table;

  constructor(scope: Construct, id: string, { key }: { readonly key: kms.IKey }) {
    super(scope, id);
    this.key = new kms.Key(this, 'Key', {
      alias: TOKEN_KEY_ALIAS,
      description: 'Identity tokens of CI runs travel to Daypass encrypted to this key',
      keySpec: kms.KeySpec.RSA_3072,
      keyUsage: kms.KeyUsage.ENCRYPT_DECRYPT,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.used = new dynamodb.Table(this, 'Used', {
      tableName: USED_TOKENS_TABLE,
      partitionKey: { name: 'token_id', type: dynamodb.AttributeType.STRING },
      timeToLiveAttribute: 'token_ends_at',
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: key,
      // A table that is lost or set back would let used tokens count again.
      deletionProtection: true,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }
}
