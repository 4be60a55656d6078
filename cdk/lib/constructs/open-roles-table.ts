import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { OPEN_ROLES_TABLE } from '../names.ts';

/**
 * How many roles are open: of each person in an account, of each account, and of each job. It is no audit trail: what it says
 * follows from the transactions, and a job is forgotten when its run can no longer be under way.
 */
export class OpenRolesTable extends dynamodb.Table {
  constructor(scope: Construct, id: string, { key }: { readonly key: kms.IKey }) {
    super(scope, id, {
      tableName: OPEN_ROLES_TABLE,
      partitionKey: { name: 'holder', type: dynamodb.AttributeType.STRING },
      timeToLiveAttribute: 'forget_at',
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: key,
      // Without it nobody is counted any more.
      deletionProtection: true,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }
}
