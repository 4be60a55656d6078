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

# Who deployed: the deploy role, in a session that names the person.
data "aws_caller_identity" "deployer" {}

output "deployed_as" {
  value = data.aws_caller_identity.deployer.arn
}

output "receipts_bucket" {
  value = aws_s3_bucket.receipts.bucket
}
