//! The table of used tokens: each counts for one transaction, and never again.

use aws_sdk_dynamodb::{Client, error::SdkError, types::AttributeValue};
use daypass::{ids::TransactionId, lambda::AwsError, timestamp::Timestamp};

use super::token::LEEWAY;

/// The key: [`super::token::Unverified::id`].
const TOKEN_ID: &str = "token_id";
/// The transaction that the token counts for.
const TRANSACTION_ID: &str = "transaction_id";
/// When DynamoDB may forget the item, in seconds since the beginning of 1970: the token has expired.
const EXPIRES_AT: &str = "expires_at";

/// The table.
#[derive(Clone, Debug)]
pub struct UsedTokens {
    client: Client,
    table: String,
}

impl UsedTokens {
    /// The table of this name, which `client` may put items into.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Uses a token that ends at `expires_at` for a transaction; false when another has used it. To use it for the same
    /// transaction again (the answer of the first time was lost) is as good as the first time.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB does not say.
    pub async fn claim(
        &self,
        token_id: &str,
        transaction: TransactionId,
        expires_at: Timestamp,
    ) -> Result<bool, AwsError> {
        let forget_at = expires_at.plus(LEEWAY).unix_seconds();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let id = transaction.to_string();
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(TOKEN_ID, text(token_id))
            .item(TRANSACTION_ID, text(&id))
            .item(EXPIRES_AT, AttributeValue::N(forget_at.to_string()))
            .condition_expression("attribute_not_exists(#token) OR #transaction = :transaction")
            .expression_attribute_names("#token", TOKEN_ID)
            .expression_attribute_names("#transaction", TRANSACTION_ID)
            .expression_attribute_values(":transaction", text(&id));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(AwsError::of("dynamodb:PutItem")(error)),
        }
    }

    /// Connects to DynamoDB before the first request needs it: a write whose condition never holds.
    pub async fn warm_up(&self) {
        let request = self.client.put_item().table_name(&self.table);
        let request = request.item(TOKEN_ID, AttributeValue::S("daypass warms up".to_owned()));
        let _ = request.condition_expression("attribute_exists(token_id)").send().await;
    }
}
