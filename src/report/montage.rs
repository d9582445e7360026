//! Many small images in one picture.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use ndarray::ArrayView1;

use crate::error::{Error, Result};
use crate::model::Batch;

type Colour = [u8; 3];

/// What lies between the tiles.
const GUTTER: Colour = [0xe7, 0xe8, 0xea];
/// The lowest symbol of a given site.
const PAPER: Colour = [0xfd, 0xfd, 0xfc];
/// The highest symbol of a given site.
const INK: Colour = [0x17, 0x1c, 0x28];
/// The lowest symbol of an invented site.
const NEW_PAPER: Colour = [0xff, 0xf1, 0xe4];
/// The highest symbol of an invented site.
const NEW_INK: Colour = [0xd1, 0x49, 0x0f];
/// A site that was erased.
const ERASED: Colour = [0xf7, 0xdb, 0xc2];

/// What a wider gap is wider by, pixels.
const APART: usize = 7;
/// Most pixels of a picture, 300 MB of memory.
const MOST_PIXELS: u64 = 100_000_000;

/// How configurations become small images: shape, number of symbols, columns.
///
/// Symbol 0 is paper and the highest symbol is ink, the others are mixed in even steps. Pixels are enlarged by a whole
/// factor, so that a 28 x 28 image is at least 56 wide; an image of one row is drawn as a strip of bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    height: usize,
    width: usize,
    levels: usize,
    columns: Option<usize>,
}

impl Tiles {
    /// Images of `height` x `width` sites in C order, with symbols `0..levels`.
    ///
    /// # Errors
    /// [`Error::Empty`] if `height`, `width` or `levels` is 0.
    pub fn new((height, width): (usize, usize), levels: usize) -> Result<Self> {
        if height == 0 || width == 0 || levels == 0 {
            return Err(Error::Empty { what: format!("a {height} x {width} image with {levels} symbols") });
        }
        Ok(Tiles { height, width, levels, columns: None })
    }

    /// The likely shape of configurations of `sites` sites: square where that is possible, else one row.
    ///
    /// # Errors
    /// [`Error::Empty`] if `sites` or `levels` is 0.
    pub fn of_sites(sites: usize, levels: usize) -> Result<Self> {
        let side = sites.isqrt();
        Tiles::new(if side * side == sites { (side, side) } else { (1, sites) }, levels)
    }

    /// Tiles in a row, in place of a number that makes the montage about square.
    #[must_use]
    pub fn columns(self, columns: usize) -> Self {
        Tiles { columns: Some(columns.max(1)), ..self }
    }

    fn check(&self, images: &Batch<u8>) -> Result<()> {
        if self.height.checked_mul(self.width) != Some(images.sites()) {
            let shape = format!("{} ({} x {})", self.height.saturating_mul(self.width), self.height, self.width);
            return Err(Error::Shape {
                what: "an image, in sites".into(),
                found: images.sites().to_string(),
                expected: shape,
            });
        }
        images.check(&vec![self.levels; images.sites()])
    }

    /// Pixels of one site, down and across, where `columns` tiles share a row.
    fn enlargement(&self, columns: usize) -> (usize, usize) {
        // As large as a row of 1000 pixels allows, within sizes at which a digit is neither crammed nor coarse.
        let fitting = 1000 / columns.saturating_mul(self.width).max(1);
        if self.height == 1 {
            let across = fitting.clamp((56 / self.width).clamp(1, 12), 12);
            return (14, across);
        }
        let longer = self.height.max(self.width);
        let across = fitting.clamp(56_usize.div_ceil(longer).min(16), 112_usize.div_ceil(longer).min(16));
        (across, across)
    }

    /// Columns of a montage of `count` tiles.
    fn columns_for(&self, count: usize) -> usize {
        if let Some(columns) = self.columns {
            return columns.min(count.max(1));
        }
        let (down, across) = self.enlargement(1);
        let aspect = (self.height as f64 * down as f64) / (self.width as f64 * across as f64);
        let square = (count as f64 * aspect).sqrt();
        let least = (square.ceil() as usize).clamp(1, count.max(1));
        // A few columns more, if that fills the last row.
        (least..=least.saturating_mul(3) / 2).find(|&columns| count.is_multiple_of(columns)).unwrap_or(least)
    }
}

/// A picture of every row of `images` (`[samples, sites]`), in rows from the upper left.
///
/// # Errors
/// [`Error::Shape`] if the images have another number of sites than `tiles`, [`Error::Symbol`] for a symbol that is not
/// below its `levels`, [`Error::Memory`] for a picture of more than 10^8 pixels.
pub fn montage(images: &Batch<u8>, tiles: &Tiles) -> Result<RgbImage> {
    tiles.check(images)?;
    let columns = tiles.columns_for(images.samples());
    let mut sheet = Sheet::new(tiles, images.samples().div_ceil(columns), columns, &[])?;
    for (i, image) in images.view().rows().into_iter().enumerate() {
        sheet.draw(i / columns, i % columns, |site| tiles.shade(image, site, PAPER, INK));
    }
    Ok(sheet.picture)
}

/// A picture of completions: in each row an original, what was `given` of it, and the `drawn` completions.
///
/// `originals` is `[samples, sites]`, `given[site]` says whether the site was kept, and `drawn[sample]` holds the
/// completions of that original, `[completions, sites]`. Given sites are dark on white, invented ones red on a tinted ground.
///
/// # Errors
/// [`Error::Shape`] if the numbers of sites or of originals do not agree, [`Error::Symbol`] for a symbol out of range,
/// [`Error::Memory`] for a picture of more than 10^8 pixels.
pub fn completions(originals: &Batch<u8>, given: &[bool], drawn: &[Batch<u8>], tiles: &Tiles) -> Result<RgbImage> {
    if given.len() != originals.sites() {
        return Err(Error::shape("the mask of given sites", given.len(), originals.sites()));
    }
    if drawn.len() != originals.samples() {
        return Err(Error::shape("the completions, in originals", drawn.len(), originals.samples()));
    }
    for images in drawn.iter().chain([originals]) {
        tiles.check(images)?;
    }
    let columns = 2 + drawn.iter().map(Batch::samples).fold(0, usize::max);
    let mut sheet = Sheet::new(tiles, drawn.len(), columns, &[1, 2])?;
    let is_given = |site: usize| given.get(site).copied().unwrap_or(false);
    for (row, (original, drawn)) in originals.view().rows().into_iter().zip(drawn).enumerate() {
        let known = |site| tiles.shade(original, site, PAPER, INK);
        sheet.draw(row, 0, known);
        sheet.draw(row, 1, |site| if is_given(site) { known(site) } else { ERASED });
        for (i, image) in drawn.view().rows().into_iter().enumerate() {
            sheet.draw(row, 2 + i, |site| {
                let (paper, ink) = if is_given(site) { (PAPER, INK) } else { (NEW_PAPER, NEW_INK) };
                tiles.shade(image, site, paper, ink)
            });
        }
    }
    Ok(sheet.picture)
}

/// The picture as the bytes of a PNG file.
///
/// # Errors
/// [`Error::Format`] if the encoder refuses it: a picture without pixels.
pub fn encode_png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Flat colours: the filters meant for photographs only make the file larger.
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::NoFilter)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|e| Error::Format { what: format!("a {} x {} PNG: {e}", picture.width(), picture.height()) })?;
    Ok(bytes)
}

impl Tiles {
    /// The colour of a site of `image`, between `paper` and `ink`.
    fn shade(&self, image: ArrayView1<'_, u8>, site: usize, paper: Colour, ink: Colour) -> Colour {
        let symbol = image.get(site).map_or(0.0, |&v| f64::from(v));
        let share = symbol / (self.levels.max(2) - 1) as f64;
        std::array::from_fn(|c| {
            let (from, to) = (f64::from(paper[c]), f64::from(ink[c]));
            (from + share * (to - from)).round() as u8
        })
    }
}

/// A picture with places for tiles.
struct Sheet {
    picture: RgbImage,
    tiles: Tiles,
    /// Pixels of a site, down and across.
    site: (usize, usize),
    gap: usize,
    /// Left edge of each column.
    lefts: Vec<usize>,
}

impl Sheet {
    /// A sheet of `rows` x `columns` places; before the columns in `apart` the gap is wider.
    fn new(tiles: &Tiles, rows: usize, columns: usize, apart: &[usize]) -> Result<Self> {
        let site = tiles.enlargement(columns);
        let (down, across) = (tiles.height.saturating_mul(site.0), tiles.width.saturating_mul(site.1));
        // Small tiles would drown in wide gaps.
        let gap = (down.min(across) / 28).clamp(2, 6);
        let height = rows.saturating_mul(down.saturating_add(gap)).saturating_add(gap);
        let mut lefts = Vec::new();
        let mut width = gap;
        // Checked on the way: `columns` comes from the user.
        let pixels = |width: usize| (width as u64).saturating_mul(height as u64);
        for column in 0..columns {
            width = width.saturating_add(if apart.contains(&column) { APART } else { 0 });
            lefts.push(width);
            width = width.saturating_add(across).saturating_add(gap);
            if pixels(width) > MOST_PIXELS {
                break;
            }
        }
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(w), Ok(h)) if pixels(width) <= MOST_PIXELS => {
                let picture = RgbImage::from_pixel(w, h, Rgb(GUTTER));
                Ok(Sheet { picture, tiles: *tiles, site, gap, lefts })
            }
            _ => Err(Error::Memory {
                what: format!("a picture of {rows} x {columns} images of {} x {}", tiles.height, tiles.width),
                needed: pixels(width).saturating_mul(3),
                ceiling: 3 * MOST_PIXELS,
                way_out: "draw fewer images".into(),
            }),
        }
    }

    /// Fills the place at (`row`, `column`) with the colours of its sites.
    fn draw(&mut self, row: usize, column: usize, colour: impl Fn(usize) -> Colour) {
        let Some(&left) = self.lefts.get(column) else { return };
        let (down, across) = self.site;
        let top = self.gap + row * (self.tiles.height * down + self.gap);
        for y in 0..self.tiles.height {
            for x in 0..self.tiles.width {
                let pixel = Rgb(colour(y * self.tiles.width + x));
                for (dy, dx) in (0..down).flat_map(|dy| (0..across).map(move |dx| (dy, dx))) {
                    let (px, py) = ((left + x * across + dx) as u32, (top + y * down + dy) as u32);
                    if let Some(place) = self.picture.get_pixel_mut_checked(px, py) {
                        *place = pixel;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> RgbImage {
        image::load_from_memory(bytes).unwrap().into_rgb8()
    }

    #[test]
    fn a_montage_survives_its_png_with_each_symbol_at_its_place() {
        // One 2 x 2 image holding all of 0..4, and one that is empty.
        let images = Batch::from_rows(&[[0u8, 1, 2, 3], [0, 0, 0, 0]]).unwrap();
        let tiles = Tiles::new((2, 2), 4).unwrap();
        let picture = decoded(&encode_png(&montage(&images, &tiles).unwrap()).unwrap());
        // Two tiles side by side, each site 16 pixels wide, gaps of 2.
        assert_eq!(tiles.enlargement(2), (16, 16));
        assert_eq!(picture.dimensions(), (2 + 32 + 2 + 32 + 2, 2 + 32 + 2));
        let at = |x, y| picture.get_pixel(x, y).0;
        assert_eq!(at(0, 0), GUTTER);
        assert_eq!([at(2, 2), at(17, 17)], [PAPER; 2]);
        assert_eq!(at(33, 33), INK);
        assert_eq!([at(34, 15), at(35, 15)], [GUTTER; 2]);
        assert_eq!(at(36, 2), PAPER);
        // Evenly spaced greys: 1/3 and 2/3 of the way.
        for (x, y, share) in [(18, 2, 1.0 / 3.0), (2, 18, 2.0 / 3.0)] {
            for c in 0..3 {
                let expected = f64::from(PAPER[c]) * (1.0 - share) + f64::from(INK[c]) * share;
                assert!((f64::from(at(x, y)[c]) - expected).abs() <= 0.5);
            }
        }
    }

    #[test]
    fn a_digit_is_at_least_56_pixels_wide_however_many_there_are() {
        let tiles = Tiles::of_sites(784, 2).unwrap();
        for columns in [1, 2, 8, 10, 20, 40, usize::MAX] {
            let (down, across) = tiles.enlargement(columns);
            assert!(down == across && (56..=112).contains(&(28 * across)));
        }
    }

    #[test]
    fn columns_fill_the_last_row_where_that_looks_right() {
        let digit = Tiles::of_sites(784, 2).unwrap();
        for (count, columns) in [(1, 1), (2, 2), (7, 3), (10, 5), (12, 4), (16, 4), (20, 5), (64, 8), (100, 10)] {
            assert_eq!(digit.columns_for(count), columns, "{count} images");
        }
        assert_eq!(digit.columns(3).columns_for(100), 3);
        assert_eq!(digit.columns(0).columns_for(100), 1);
        assert_eq!(digit.columns(30).columns_for(7), 7);
        assert_eq!(Tiles::of_sites(50, 2).unwrap().columns_for(30), 1, "strips lie below each other");
    }

    #[test]
    fn shapes_that_are_no_images_are_drawn_too() {
        for (sites, levels) in [(1, 1), (1, 2), (2, 2), (53, 21), (2000, 2), (16, 256)] {
            let tiles = Tiles::of_sites(sites, levels).unwrap();
            let images = Batch::from_rows(&[vec![(levels - 1) as u8; sites], vec![0; sites]]).unwrap();
            let picture = montage(&images, &tiles).unwrap();
            assert!(picture.width() as usize > sites && picture.height() >= 10);
            let ink = if levels == 1 { PAPER } else { INK };
            assert!(picture.pixels().any(|p| p.0 == ink) && picture.pixels().any(|p| p.0 == PAPER));
        }
        let tall = Tiles::new((3, 1), 2).unwrap();
        let picture = montage(&Batch::from_rows(&[[0u8, 1, 0]]).unwrap(), &tall).unwrap();
        assert_eq!(picture.dimensions(), (2 + 16 + 2, 2 + 48 + 2));
    }

    #[test]
    fn a_completion_shows_what_was_given_and_what_was_invented() {
        let originals = Batch::from_rows(&[[1u8, 1]]).unwrap();
        let drawn = [Batch::from_rows(&[[1u8, 0], [1, 1]]).unwrap()];
        let tiles = Tiles::new((1, 2), 2).unwrap();
        let picture = completions(&originals, &[true, false], &drawn, &tiles).unwrap();
        // Sites of 12 x 14 pixels; gaps of 2, and of 9 before the second and third column.
        let lefts = [2, 35, 68, 94];
        let colours = lefts.map(|left| [left, left + 12].map(|x| picture.get_pixel(x, 2).0));
        assert_eq!(colours, [[INK, INK], [INK, ERASED], [INK, NEW_PAPER], [INK, NEW_INK]]);
        assert_eq!(picture.width(), 94 + 24 + 2);
    }

    #[test]
    fn a_wrong_shape_symbol_or_size_is_refused() {
        let images = Batch::from_rows(&[[0u8, 1, 2]]).unwrap();
        let tiles = |shape, levels| Tiles::new(shape, levels).unwrap();
        assert!(matches!(montage(&images, &tiles((2, 2), 4)), Err(Error::Shape { .. })));
        assert!(matches!(montage(&images, &tiles((usize::MAX, 3), 4)), Err(Error::Shape { .. })));
        assert!(matches!(montage(&images, &tiles((1, 3), 2)), Err(Error::Symbol { site: 2, found: 2, dim: 2, .. })));
        for shape in [(0, 3), (3, 0)] {
            assert!(Tiles::new(shape, 2).is_err());
        }
        assert!(Tiles::of_sites(0, 2).is_err() && Tiles::of_sites(3, 0).is_err());
        let one = tiles((1, 3), 3);
        assert!(matches!(
            completions(&images, &[true; 2], std::slice::from_ref(&images), &one),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(completions(&images, &[true; 3], &[], &one), Err(Error::Shape { .. })));
        let many = Batch::new(ndarray::Array2::zeros((1_000_000, 1))).unwrap();
        assert!(matches!(montage(&many, &tiles((1, 1), 2)), Err(Error::Memory { .. })));
    }
}
