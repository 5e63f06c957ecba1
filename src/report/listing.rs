//! Results of `list` commands, for standard output.

use super::table::{self, Align, Column};
use crate::base::error::{Error, Result};
use crate::base::listing::Listing;

/// The listing as a table that ends with an empty line.
pub fn text(listing: &Listing) -> String {
    let columns: Vec<Column> = listing
        .headings
        .iter()
        .map(|heading| Column {
            name: heading.name,
            align: if heading.width_min == 0 { Align::Left } else { Align::Right },
            width_min: heading.width_min,
        })
        .collect();
    table::render(&columns, &listing.rows) + "\n"
}

/// The listing as an indented JSON document that ends with a newline.
///
/// # Errors
/// `Internal` when it cannot be written.
pub fn json(listing: &Listing) -> Result<String> {
    serde_json::to_string_pretty(&listing.json)
        .map(|text| text + "\n")
        .map_err(|error| Error::internal(format!("could not write a list as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::listing::Heading;

    #[test]
    fn columns_keep_their_width_and_grow_with_their_cells() {
        const HEADINGS: [Heading; 3] =
            [Heading::wide("OID", 6), Heading::wide("Name", 4), Heading::last("Rest")];
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let listing = Listing {
            headings: &HEADINGS,
            rows: vec![row(["1", "a", "x y"]), row(["22", "longer", ""])],
            json: serde_json::Value::Null,
        };
        let expected = "   OID |   Name | Rest\n-------+--------+-----\n     1 |      a | x y\n    \
                        22 | longer |\n\n";
        assert_eq!(text(&listing), expected);
    }
}
