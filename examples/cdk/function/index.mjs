import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';

const table = new DynamoDBClient();

/** Notes which receipts were sent: one for each message. */
export const handler = async ({ Records: messages }) => {
  for (const { body } of messages) {
    await table.send(new PutItemCommand({ TableName: process.env.SENT, Item: { receipt: { S: body } } }));
  }
};
