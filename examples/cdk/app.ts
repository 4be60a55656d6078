import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { DaypassApp } from './daypass.ts';

/** Where payments keeps receipts until they are sent. */
class PaymentsReceipts extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const receipts = new s3.Bucket(this, 'Receipts', {
      enforceSSL: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      // In production a Product_Admin deletes no data, and neither does a role that a deployment has created: there the
      // stack can be deployed and updated, and its deletion stops at the bucket.
      removalPolicy: RemovalPolicy.DESTROY,
      autoDeleteObjects: true,
    });
    const sent = new dynamodb.TableV2(this, 'Sent', {
      partitionKey: { name: 'receipt', type: dynamodb.AttributeType.STRING },
    });
    const queue = new sqs.Queue(this, 'ToSend', { enforceSSL: true, visibilityTimeout: Duration.minutes(1) });
    const send = new lambda.Function(this, 'Send', {
      runtime: lambda.Runtime.NODEJS_22_X,
      handler: 'index.handler',
      code: lambda.Code.fromAsset('function'),
      environment: { RECEIPTS: receipts.bucketName, SENT: sent.tableName },
    });
    send.addEventSource(new SqsEventSource(queue));
    receipts.grantRead(send);
    sent.grantWriteData(send);

    new CfnOutput(this, 'ReceiptsBucket', { value: receipts.bucketName });
    new CfnOutput(this, 'QueueUrl', { value: queue.queueUrl });
  }
}

const app = new DaypassApp();
new PaymentsReceipts(app, 'PaymentsReceipts', {
  env: { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION },
});
