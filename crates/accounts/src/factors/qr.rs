//! Pictures for the cameras of phones.

use qrcodegen::{QrCode, QrCodeEcc};

/// The frame that a camera needs around a code (ISO/IEC 18004).
const QUIET: i32 = 4;

/// A QR code as a path of SVG: it can be shown without any HTML being made from text.
pub(crate) struct Drawing {
    /// `0 0 53 53`: a module is one unit.
    pub(super) view_box: String,
    /// The dark modules.
    pub(super) path: String,
}

/// None for a text that is too long.
pub(super) fn draw(text: &str) -> Option<Drawing> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let run = (x..code.size()).take_while(|x| code.get_module(*x, y)).count();
            let run = i32::try_from(run).ok()?;
            if run > 0 {
                path.push_str(&format!("M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET));
            }
            x += run.max(1);
        }
    }
    let side = code.size() + 2 * QUIET;
    Some(Drawing { view_box: format!("0 0 {side} {side}"), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_has_the_modules_of_its_code() {
        let text = "otpauth://totp/Entrepot:kata@people.example?secret=GEZDGNBVGY3TQOJQ";
        let (drawing, code) = (draw(text).unwrap(), QrCode::encode_text(text, QrCodeEcc::Medium).unwrap());
        let mut dark = 0;
        for run in drawing.path.split('M').skip(1) {
            let (place, rest) = run.split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let length: i32 = rest.split_once('v').unwrap().0.parse().unwrap();
            for offset in 0..length {
                let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
                assert!(code.get_module(x + offset - QUIET, y - QUIET));
                dark += 1;
            }
        }
        let modules = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        assert_eq!(dark, modules.filter(|(x, y)| code.get_module(*x, *y)).count());
        assert_eq!(drawing.view_box, format!("0 0 {0} {0}", code.size() + 8));
        assert!(draw(&"x".repeat(10_000)).is_none());
    }
}
