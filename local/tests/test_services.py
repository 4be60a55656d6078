"""What Daypass relies on in DynamoDB, S3 and CloudFormation, and finds unpatched."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Accounts, allow, refused


@pytest.fixture
def table(accounts: Accounts) -> Any:
    dynamodb = accounts.aws.root("dynamodb", accounts.hub)
    keys = ("id", "email", "at")
    dynamodb.create_table(
        TableName=f"table-{accounts.suffix}",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "sparse",
                "KeySchema": [
                    {"AttributeName": "email", "KeyType": "HASH"},
                    {"AttributeName": "at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return dynamodb


def test_conditional_writes_say_what_was_there(accounts: Accounts, table: Any) -> None:
    put = {
        "TableName": f"table-{accounts.suffix}",
        "Item": {"id": {"S": "1"}, "status": {"S": "processing"}},
        "ConditionExpression": "attribute_not_exists(id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    table.put_item(**put)
    with pytest.raises(ClientError) as caught:
        table.put_item(**put)
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert caught.value.response["Item"]["status"] == {"S": "processing"}


def test_transactions_are_all_or_nothing(accounts: Accounts, table: Any) -> None:
    name = f"table-{accounts.suffix}"
    table.put_item(TableName=name, Item={"id": {"S": "1"}, "status": {"S": "deprovisioned"}})
    update = {
        "TableName": name,
        "Key": {"id": {"S": "1"}},
        "UpdateExpression": "SET #s = :new",
        "ConditionExpression": "#s = :old",
        "ExpressionAttributeNames": {"#s": "status"},
        "ExpressionAttributeValues": {":new": {"S": "deprovisioning"}, ":old": {"S": "provisioned"}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    items = [{"Put": {"TableName": name, "Item": {"id": {"S": "2"}}}}, {"Update": update}]
    with pytest.raises(ClientError) as caught:
        table.transact_write_items(TransactItems=items)
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"]["status"] == {"S": "deprovisioned"}
    assert "Item" not in table.get_item(TableName=name, Key={"id": {"S": "2"}})


def test_an_index_holds_only_items_with_its_keys(accounts: Accounts, table: Any) -> None:
    name = f"table-{accounts.suffix}"
    table.put_item(TableName=name, Item={"id": {"S": "1"}, "email": {"S": "a"}, "at": {"S": "2026"}})
    table.put_item(TableName=name, Item={"id": {"S": "2"}, "email": {"S": "a"}})
    found = table.query(
        TableName=name,
        IndexName="sparse",
        KeyConditionExpression="email = :email",
        ExpressionAttributeValues={":email": {"S": "a"}},
    )
    assert [item["id"]["S"] for item in found["Items"]] == ["1"]


def test_a_transaction_is_authorised_item_by_item(accounts: Accounts, table: Any) -> None:
    name = f"table-{accounts.suffix}"
    put_only = allow("dynamodb:PutItem", f"arn:aws:dynamodb:us-east-1:{accounts.hub}:table/{name}")
    role = accounts.role(accounts.hub, "writer", policies=[put_only])
    writer = accounts.aws.client("dynamodb", accounts.session(role))
    put = {"Put": {"TableName": name, "Item": {"id": {"S": "1"}}}}
    writer.transact_write_items(TransactItems=[put])
    delete = {"Delete": {"TableName": name, "Key": {"id": {"S": "1"}}}}
    assert refused(writer.transact_write_items, TransactItems=[delete]) == "AccessDeniedException"
    assert table.describe_table(TableName=name)["Table"]["ItemCount"] == 1


def test_a_role_session_deploys_in_its_own_account(accounts: Accounts) -> None:
    role = accounts.role(accounts.target, "deployer", policies=[allow(["cloudformation:*", "s3:*"])])
    session = accounts.session(role)
    cloudformation = accounts.aws.client("cloudformation", session)
    name, bucket = f"stack-{accounts.suffix}", f"bucket-{accounts.suffix}"
    template = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}}}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})

    def buckets(account: str) -> list[str]:
        return [found["Name"] for found in accounts.aws.root("s3", account).list_buckets()["Buckets"]]

    assert bucket in buckets(accounts.target)
    assert bucket not in buckets(accounts.hub)


def test_loopback_counts_as_tls(accounts: Accounts) -> None:
    secure = {"Bool": {"aws:SecureTransport": "true"}}
    role = accounts.role(accounts.hub, "secure", policies=[allow("sqs:ListQueues", Condition=secure)])
    accounts.aws.client("sqs", accounts.session(role)).list_queues()
