pub mod woocommerce;
