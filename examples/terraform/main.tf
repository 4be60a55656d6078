# What payments keeps receipts in until they are sent.

terraform {
  required_version = ">= 1.6" # or OpenTofu

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

# No credentials here: the provider finds those that `daypass` gives to the command.
provider "aws" {
  default_tags {
    tags = { application = "payments" }
  }
}

resource "aws_s3_bucket" "receipts" {
  bucket_prefix = "payments-receipts-"
}

resource "aws_s3_bucket_public_access_block" "receipts" {
  bucket                  = aws_s3_bucket.receipts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_sns_topic" "to_send" {
  name_prefix = "payments-to-send-"
}

resource "aws_dynamodb_table" "sent" {
  name         = "payments-sent"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "receipt"

  attribute {
    name = "receipt"
    type = "S"
  }
}

# The roles of a deployment stand below this path and have this boundary; a deploy role can create no others.
resource "aws_iam_role" "send" {
  name_prefix          = "payments-send-"
  path                 = "/deployed-by-daypass/"
  permissions_boundary = "arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.deployer.account_id}:policy/daypass-workloads"
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role_policy" "note" {
  name_prefix = "note-"
  role        = aws_iam_role.send.id
  policy      = data.aws_iam_policy_document.note.json
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "note" {
  statement {
    actions   = ["dynamodb:PutItem"]
    resources = [aws_dynamodb_table.sent.arn]
  }
}

data "aws_partition" "here" {}

# Who deployed: the deploy role, in a session that names the person.
data "aws_caller_identity" "deployer" {}

output "deployed_as" {
  value = data.aws_caller_identity.deployer.arn
}

output "receipts_bucket" {
  value = aws_s3_bucket.receipts.bucket
}
