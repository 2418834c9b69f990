//! The setting `pgweir.route` that a session begins with: its start-up packet's, else what a rule of the operator says.
//!
//! Why the setting: SHOW shows the rule, and SET, RESET and hints work on top of it as on any value.
//! Invariant: a session never begins with a value that means nothing, nor with a node that there is not.

use pgweir_cluster::View;
use pgweir_config::Config;
use pgweir_session::{ROUTE_SETTING, SettingMap, SettingValue, invalid_route, startup_settings};
use pgweir_sql::{Route, Wish};
use pgweir_wire::Startup;

/// The settings of a start-up packet, and the rule that holds for its client where it does not choose itself.
pub(crate) fn with_rule(config: &Config, startup: &Startup) -> SettingMap {
    let mut settings = startup_settings(&startup.settings);
    let application = match settings.get("application_name") {
        Some(SettingValue::Plain(name)) => Some(name.as_str()),
        _ => None,
    };
    let rule = config.reads(&startup.database, &startup.user, application).map(wish);
    if let Some(wish) = rule.filter(|_| !settings.contains_key(ROUTE_SETTING)) {
        settings.insert(ROUTE_SETTING.to_owned(), SettingValue::Plain(wish.to_string()));
    }
    settings
}

/// What a rule asks for.
pub fn wish(rule: &pgweir_config::Route) -> Wish {
    use pgweir_config::Route as Rule;
    let route = match rule {
        Rule::Auto => Route::Auto,
        Rule::Node(name) => Route::Node(name.as_str().into()),
        Rule::Primary => Route::Primary,
        Rule::Standby => Route::Standby,
    };
    Wish { route: Some(route), staleness_max: None }
}

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

#[cfg(test)]
mod tests {
    use pgweir_wire::GucSetting;
    use pgweir_wire::startup::Replication;

    use super::*;

    fn begins_with(rules: &str, settings: &[(&str, &str)]) -> Option<SettingValue> {
        let text = format!(
            "[auth]\nquery_user = \"u\"\n[[cluster.main.node]]\naddress = \"a:1\"\nname = \"Ä b\"\n{rules}"
        );
        let config = Config::parse(&text, std::path::Path::new("")).unwrap().config;
        let setting = |(name, value): &(&str, &str)| GucSetting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let startup = Startup {
            minor: 0,
            user: "alice".to_owned(),
            database: "shop".to_owned(),
            replication: Replication::No,
            settings: settings.iter().map(setting).collect(),
            unknown_options: Vec::new(),
        };
        with_rule(&config, &startup).remove(ROUTE_SETTING)
    }

    #[test]
    fn a_rule_is_the_default_and_the_client_may_choose_otherwise() {
        let rules = "[database.shop]\nroute = \"standby\"\n[application.report]\nroute = \"node=Ä b\"";
        let plain = |value: &str| Some(SettingValue::Plain(value.to_owned()));
        assert_eq!(begins_with("", &[]), None);
        assert_eq!(begins_with(rules, &[]), plain("standby"));
        assert_eq!(begins_with(rules, &[("Application_Name", "report")]), plain("node=Ä b"));
        let own = [("application_name", "report"), ("PGWEIR.route", "primary")];
        assert_eq!(begins_with(rules, &own), plain("primary"));
    }

    #[test]
    fn the_setting_reads_every_rule_as_it_is_meant() {
        use pgweir_config::Route as Rule;
        for rule in [Rule::Auto, Rule::Node("Ä b".to_owned()), Rule::Primary, Rule::Standby] {
            assert_eq!(Wish::parse(&rule.to_string()), Ok(wish(&rule)), "{rule}");
        }
    }
}
