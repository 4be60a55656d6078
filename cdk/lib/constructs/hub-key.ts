import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { KEY_ALIAS } from '../names.ts';

/**
 * The one key that encrypts what Daypass keeps: the table, the logs and the alarm topic.
 *
 * It must be a customer-managed key because CloudWatch cannot publish alarms to a topic that is encrypted with the
 * AWS-managed one. It outlives the stack, as the table does.
 */
export class HubKey extends kms.Key {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      alias: KEY_ALIAS,
      description: 'Encrypts the transactions, logs and alarms of Daypass',
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    const { region, account, partition } = Stack.of(this);
    this.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'LogsOfDaypass',
        principals: [new iam.ServicePrincipal(`logs.${region}.amazonaws.com`)],
        actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'],
        resources: ['*'],
        conditions: {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': [
              `arn:${partition}:logs:${region}:${account}:log-group:/aws/lambda/daypass-*`,
              `arn:${partition}:logs:${region}:${account}:log-group:/aws/vendedlogs/states/daypass-*`,
            ],
          },
        },
      }),
    );
    this.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsOfThisAccount',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
    );
  }
}
