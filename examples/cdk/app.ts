import { App, CfnOutput, CliCredentialsStackSynthesizer, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sqs from 'aws-cdk-lib/aws-sqs';

const app = new App();
const stack = new Stack(app, 'PaymentsReceipts', {
  description: 'Where payments keeps receipts until they are sent',
  env: { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION },
  // The credentials in the environment deploy, which are those of the deploy role. CDK's default would assume the roles
  // that `cdk bootstrap` made, one of which is an administrator: a deploy role may not.
  synthesizer: new CliCredentialsStackSynthesizer(),
});

const receipts = new s3.Bucket(stack, 'Receipts', {
  encryption: s3.BucketEncryption.S3_MANAGED,
  enforceSSL: true,
  blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
  // In production a Product_Admin deletes no data.
  removalPolicy: RemovalPolicy.RETAIN,
});
const queue = new sqs.Queue(stack, 'ToSend', { enforceSSL: true, retentionPeriod: Duration.days(4) });

new CfnOutput(stack, 'ReceiptsBucket', { value: receipts.bucketName });
new CfnOutput(stack, 'QueueUrl', { value: queue.queueUrl });
