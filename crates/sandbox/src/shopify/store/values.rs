//! Enumerations of the Admin API that have rules attached here.

macro_rules! graphql_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// As the Admin API writes it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
    };
}

graphql_enum!(
    /// `ProductStatus`.
    ProductStatus { Active = "ACTIVE", Archived = "ARCHIVED", Draft = "DRAFT", Unlisted = "UNLISTED" }
);

graphql_enum!(
    /// `OrderDisplayFinancialStatus`.
    FinancialStatus {
        Authorized = "AUTHORIZED", Expired = "EXPIRED", Paid = "PAID", PartiallyPaid = "PARTIALLY_PAID",
        PartiallyRefunded = "PARTIALLY_REFUNDED", Pending = "PENDING", Refunded = "REFUNDED", Voided = "VOIDED",
    }
);

graphql_enum!(
    /// `OrderDisplayFulfillmentStatus`.
    FulfillmentStatus {
        Fulfilled = "FULFILLED", NotRequired = "FULFILLMENT_NOT_REQUIRED", InProgress = "IN_PROGRESS",
        OnHold = "ON_HOLD", PartiallyFulfilled = "PARTIALLY_FULFILLED", RequestDeclined = "REQUEST_DECLINED",
        Restocked = "RESTOCKED", Scheduled = "SCHEDULED", Unfulfilled = "UNFULFILLED",
    }
);

graphql_enum!(
    /// `OrderCancelReason`.
    CancelReason {
        Customer = "CUSTOMER", Declined = "DECLINED", Fraud = "FRAUD", Inventory = "INVENTORY", Other = "OTHER",
        Staff = "STAFF",
    }
);

graphql_enum!(
    /// `CustomerState`.
    CustomerState { Declined = "DECLINED", Disabled = "DISABLED", Enabled = "ENABLED", Invited = "INVITED" }
);

graphql_enum!(
    /// `CustomerEmailAddressMarketingState`.
    EmailMarketing {
        Invalid = "INVALID", NotSubscribed = "NOT_SUBSCRIBED", Pending = "PENDING", Subscribed = "SUBSCRIBED",
        Unsubscribed = "UNSUBSCRIBED",
    }
);

graphql_enum!(
    /// `CustomerMarketingConsentState`, for text messages and WhatsApp.
    PhoneMarketing {
        NeverSubscribed = "NEVER_SUBSCRIBED", Pending = "PENDING", Subscribed = "SUBSCRIBED",
        Unsubscribed = "UNSUBSCRIBED",
    }
);

graphql_enum!(
    /// `CustomerMarketingOptInLevel`.
    OptInLevel { Confirmed = "CONFIRMED_OPT_IN", Single = "SINGLE_OPT_IN", Unknown = "UNKNOWN" }
);

graphql_enum!(
    /// `OrderTransactionKind`.
    TransactionKind {
        Authorization = "AUTHORIZATION", Capture = "CAPTURE", Refund = "REFUND", Sale = "SALE", Void = "VOID",
    }
);

graphql_enum!(
    /// `OrderTransactionStatus`.
    TransactionStatus { Error = "ERROR", Failure = "FAILURE", Pending = "PENDING", Success = "SUCCESS" }
);
