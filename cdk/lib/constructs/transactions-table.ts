import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { OPEN_LEASES_INDEX, TABLE } from '../names.ts';

const string = (name: string): dynamodb.Attribute => ({ name, type: dynamodb.AttributeType.STRING });

/** The audit trail: every transaction with its decision, and nothing that deletes it. */
export class TransactionsTable extends dynamodb.Table {
  constructor(scope: Construct, id: string, props: { readonly key: kms.IKey }) {
    super(scope, id, {
      tableName: TABLE,
      partitionKey: string('transaction_id'),
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: props.key,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    // "What did this person get?", "What happened in this account?", "What is still open?" (sparse: only open leases
    // have `open_lease`.)
    this.index('by-user', 'email', 'requested_at');
    this.index('by-account', 'target_aws_account_id', 'requested_at');
    // Whose run it really was, by a verified token: whoever asks in another's name is found by their own.
    this.index('by-actor', 'actor', 'requested_at');
    this.index(OPEN_LEASES_INDEX, 'open_lease', 'expires_at');
  }

  private index(indexName: string, partitionKey: string, sortKey: string): void {
    this.addGlobalSecondaryIndex({ indexName, partitionKey: string(partitionKey), sortKey: string(sortKey) });
  }
}
