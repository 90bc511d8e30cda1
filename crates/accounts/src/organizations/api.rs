use kit::Router;

pub fn routes() -> Router {
    Router::new()
}
