use std::fmt;

use crate::field_error::FieldError;

/// The four product categories of the sale, with their numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Category {
    /// Electronics.
    Electronica = 1,
    /// Clothing.
    Ropa = 2,
    /// Home.
    Hogar = 3,
    /// Beauty.
    Belleza = 4,
}

impl Category {
    /// Every category, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Electronica, Self::Ropa, Self::Hogar, Self::Belleza];

    /// How a category is best written as text, as a regular expression of ECMA-262. [`Category::parse`] takes more: space
    /// around it and other accents.
    pub const TEXT: &str = "^(?:[1-4]|[Ee][Ll][Ee][Cc][Tt][Rr][OoÓó][Nn][Ii][Cc][Aa]|[Rr][Oo][Pp][Aa]|\
                            [Hh][Oo][Gg][Aa][Rr]|[Bb][Ee][Ll][Ll][Ee][Zz][Aa])$";

    /// The name on the wire and in the store's keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Electronica => "Electronica",
            Self::Ropa => "Ropa",
            Self::Hogar => "Hogar",
            Self::Belleza => "Belleza",
        }
    }

    /// Position in [`Category::ALL`], for arrays with a place per category.
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// The category with this number, `1 … 4`.
    ///
    /// # Errors
    /// Any other number, zero (unspecified) included.
    pub fn from_number(number: i64) -> Result<Self, FieldError> {
        match number {
            1 => Ok(Self::Electronica),
            2 => Ok(Self::Ropa),
            3 => Ok(Self::Hogar),
            4 => Ok(Self::Belleza),
            _ => Err(unknown()),
        }
    }

    /// The category with this name, in any case, with or without accents, or its number as text.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        if let Some(category) = Self::ALL.into_iter().find(|c| c.name() == text) {
            return Ok(category);
        }
        let mut folded = [0_u8; 16];
        let name = fold(text, &mut folded).ok_or_else(unknown)?;
        match name {
            b"electronica" | b"1" => Ok(Self::Electronica),
            b"ropa" | b"2" => Ok(Self::Ropa),
            b"hogar" | b"3" => Ok(Self::Hogar),
            b"belleza" | b"4" => Ok(Self::Belleza),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn unknown() -> FieldError {
    FieldError::new("categoria", "must be Electronica, Ropa, Hogar, Belleza or their number 1 to 4")
}

/// Lower-cases and strips Spanish accents, precomposed or combining; `None` if it does not fit.
fn fold<'a>(text: &str, folded: &'a mut [u8; 16]) -> Option<&'a [u8]> {
    let mut len = 0;
    for c in text.trim().chars().filter(|c| !matches!(c, '\u{300}'..='\u{36f}')) {
        let plain = match c {
            'á' | 'Á' | 'à' | 'À' => 'a',
            'é' | 'É' | 'è' | 'È' => 'e',
            'í' | 'Í' | 'ì' | 'Ì' => 'i',
            'ó' | 'Ó' | 'ò' | 'Ò' => 'o',
            'ú' | 'Ú' | 'ù' | 'Ù' | 'ü' | 'Ü' => 'u',
            _ => c.to_ascii_lowercase(),
        };
        *folded.get_mut(len)? = u8::try_from(plain).ok()?;
        len += 1;
    }
    Some(&folded[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_with_or_without_accents_or_as_numbers() {
        for text in ["Electronica", "electrónica", "ELECTRÓNICA", "Electro\u{301}nica", " electronica ", "1"]
        {
            assert_eq!(Category::parse(text), Ok(Category::Electronica), "{text}");
        }
        for category in Category::ALL {
            assert_eq!(Category::parse(category.name()), Ok(category));
            assert_eq!(Category::from_number(category as i64), Ok(category));
            assert_eq!(Category::ALL[category.index()], category);
        }
    }

    /// The nth character of each class.
    #[test]
    fn whatever_the_expression_allows_is_read() {
        let all = Category::TEXT.strip_prefix("^(?:[1-4]|").and_then(|text| text.strip_suffix(")$"));
        let names: Vec<_> = all.expect("names").split('|').collect();
        assert_eq!(names.len(), Category::ALL.len());
        for (name, category) in names.into_iter().zip(Category::ALL) {
            let classes: Vec<Vec<char>> =
                name.trim_matches(['[', ']']).split("][").map(|class| class.chars().collect()).collect();
            for nth in 0..4 {
                let text: String = classes.iter().map(|class| class[nth % class.len()]).collect();
                assert_eq!(Category::parse(&text), Ok(category), "{text}");
            }
        }
    }

    #[test]
    fn anything_else_is_refused_and_the_error_says_what_is_allowed() {
        for text in
            ["", "0", "5", "Juguetes", "Electronica2", "электроника", "a very long name of a category"]
        {
            let error = Category::parse(text).expect_err(text);
            assert_eq!(error.field, "categoria");
            assert!(error.message.contains("Belleza"));
        }
        assert!(Category::from_number(0).is_err());
    }
}
