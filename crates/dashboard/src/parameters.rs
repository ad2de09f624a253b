//! The parameters of a query.

use blackfriday_event::Category;
use blackfriday_service::{FieldProblem, Kind, Problem};

const MAX_ROWS: usize = 1000;

/// What may be asked for. What a route does not know is refused, so that a misspelt name never answers for the whole.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) category: Option<Category>,
    pub(crate) rows: Option<usize>,
}

/// Every wrong parameter.
#[derive(Debug)]
pub(crate) struct Wrong(Vec<FieldProblem>);

impl Parameters {
    /// Reads a query of which the route knows the names `known`.
    ///
    /// # Errors
    /// Every wrong parameter, with what is allowed there.
    pub(crate) fn read(query: &[(String, String)], known: &[&str]) -> Result<Self, Wrong> {
        let (mut parameters, mut errors) = (Self::default(), Vec::new());
        for (at, (name, text)) in query.iter().enumerate() {
            let doubled = query[..at].iter().any(|(earlier, _)| earlier == name);
            let read = match name.as_str() {
                name if !known.contains(&name) => Err(unknown(known)),
                _ if doubled => Err("must be given once".to_owned()),
                "categoria" => Category::parse(text)
                    .map(|found| parameters.category = Some(found))
                    .map_err(|error| error.message),
                _ => rows(text).map(|found| parameters.rows = Some(found)),
            };
            errors.extend(read.err().map(|message| FieldProblem { field: name.clone(), message }));
        }
        if errors.is_empty() { Ok(parameters) } else { Err(Wrong(errors)) }
    }

    /// The category, where one must be given.
    ///
    /// # Errors
    /// It was not given.
    pub(crate) fn required_category(&self) -> Result<Category, Wrong> {
        let message = || "must be given: Electronica, Ropa, Hogar or Belleza".to_owned();
        let missing = || FieldProblem { field: "categoria".to_owned(), message: message() };
        self.category.ok_or_else(|| Wrong(vec![missing()]))
    }
}

fn unknown(known: &[&str]) -> String {
    match known {
        [] => "is not known: the route takes none".to_owned(),
        known => format!("is not known: the route takes {}", known.join(" and ")),
    }
}

fn rows(text: &str) -> Result<usize, String> {
    let rows = text.parse().ok().filter(|rows| (1..=MAX_ROWS).contains(rows));
    rows.ok_or_else(|| format!("must be a whole number from 1 to {MAX_ROWS}"))
}

impl From<Wrong> for Problem {
    fn from(Wrong(errors): Wrong) -> Self {
        Self::new(Kind::InvalidParameter, "see errors").with_errors(errors)
    }
}

/// What holds of any query.
#[cfg(any(test, fuzzing))]
pub(crate) fn is_right_or_has_its_wrong_parameters_named(query: &str) {
    use axum::extract::Query;
    use axum::http::Uri;

    let Ok(uri) = format!("/api/productos?{query}").parse::<Uri>() else { return };
    let Query(asked) = Query::<Vec<(String, String)>>::try_from_uri(&uri).expect("any query is pairs");
    match Parameters::read(&asked, &["categoria", "n"]) {
        Ok(read) => {
            assert!(asked.len() <= 2 && read.rows.is_none_or(|rows| (1..=MAX_ROWS).contains(&rows)));
        }
        Err(Wrong(errors)) => {
            assert!(!errors.is_empty() && errors.len() <= asked.len());
            let was_asked = |error: &FieldProblem| asked.iter().any(|(name, _)| *name == error.field);
            assert!(errors.iter().all(was_asked));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_query_is_right_or_has_its_wrong_parameters_named(
            query in prop_oneof!["[!-~]{0,40}", "((n|categoria|x)(=|%3D)?(ropa|R%C3%93PA|[0-9+]{0,4}|%[0-9a-f]{2})&?){0,4}"],
        ) {
            is_right_or_has_its_wrong_parameters_named(&query);
        }
    }

    fn read(query: &[(&str, &str)]) -> Result<Parameters, Vec<String>> {
        let query: Vec<_> =
            query.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let names = |Wrong(errors)| errors.into_iter().map(|error| error.field).collect();
        Parameters::read(&query, &["categoria", "n"]).map_err(names)
    }

    #[test]
    fn what_is_right_is_read() {
        let both = Parameters { category: Some(Category::Ropa), rows: Some(1000) };
        assert_eq!(read(&[("categoria", "ropa"), ("n", "1000")]), Ok(both));
        assert_eq!(read(&[]), Ok(Parameters::default()));
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        for wrong in ["0", "1001", "-1", "x", ""] {
            assert_eq!(read(&[("n", wrong)]), Err(vec!["n".to_owned()]), "{wrong}");
        }
        let wrong = read(&[("categoria", "Juguetes"), ("n", "0"), ("category", "Ropa")]);
        assert_eq!(wrong, Err(["categoria", "n", "category"].map(str::to_owned).to_vec()));
        assert_eq!(read(&[("n", "1"), ("n", "2")]), Err(vec!["n".to_owned()]));
        let wrong = Parameters::read(&[("n".to_owned(), "1".to_owned())], &[]).expect_err("not known there");
        assert_eq!(Problem::from(wrong).kind(), Kind::InvalidParameter);
    }

    #[test]
    fn a_category_that_must_be_given_is_asked_for() {
        let wrong = Parameters::default().required_category().expect_err("none is given");
        assert_eq!(wrong.0[0].field, "categoria");
    }
}
