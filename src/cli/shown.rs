//! `--show-settings`: what options, variables and defaults add up to, with where each came from.

use super::settings::ShownSetting;
use crate::base::error::{Error, Result};
use crate::config::PlanFormat;
use crate::report::table::{self, Column};

/// The resolved settings as a table or as JSON.
pub(super) fn settings_text(shown: &[ShownSetting], format: PlanFormat) -> Result<String> {
    match format {
        PlanFormat::Text => {
            let columns = [Column::left("Setting"), Column::left("Value"), Column::left("From")];
            let rows: Vec<Vec<String>> = shown
                .iter()
                .map(|setting| {
                    vec![setting.name.into(), setting.value.clone(), setting.origin.to_string()]
                })
                .collect();
            Ok(table::render(&columns, &rows))
        }
        PlanFormat::Json => {
            let entries: Vec<serde_json::Value> = shown
                .iter()
                .map(|setting| {
                    serde_json::json!({
                        "setting": setting.name,
                        "value": setting.value,
                        "from": setting.origin.to_string(),
                    })
                })
                .collect();
            serde_json::to_string_pretty(&entries)
                .map(|text| text + "\n")
                .map_err(|error| Error::internal(format!("could not print the settings: {error}")))
        }
    }
}
