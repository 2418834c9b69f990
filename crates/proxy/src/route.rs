//! The setting `pgweir.route` that a session begins with.
//!
//! Invariant: a session never begins with a value that means nothing, nor with a node that there is not.

use pgweir_cluster::View;
use pgweir_session::{ROUTE_SETTING, SettingMap, SettingValue, invalid_route};
use pgweir_sql::{Route, Wish};

/// What is wrong with the setting as a start-up packet gives it.
pub(crate) fn fault(settings: &SettingMap, view: &View) -> Option<String> {
    let SettingValue::Plain(value) = settings.get(ROUTE_SETTING)? else { return None };
    let node = match Wish::parse(value) {
        Ok(Wish { route: Some(Route::Node(node)), .. }) => node,
        Ok(_) => return None,
        Err(_) => return invalid_route(value),
    };
    let known = view.named(&node).is_some();
    (!known).then(|| format!("invalid value for parameter \"{ROUTE_SETTING}\": there is no node \"{node}\""))
}
