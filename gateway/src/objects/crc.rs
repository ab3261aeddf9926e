//! Cyclic redundancy checks of contents that are put together: from those of the pieces, without reading them.
//!
//! Appending zero bytes to a content multiplies its remainder by a power of x modulo the polynomial, which is a matrix
//! over GF(2); squaring that doubles the number of bytes. (As zlib's `crc32_combine`, for any reflected polynomial.)

/// One of the checks that S3 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crc {
    /// Reflected.
    polynomial: u64,
    /// Bits.
    width: u32,
}

type Matrix = [u64; 64];

impl Crc {
    const CRC32: Self = Self {
        polynomial: 0xEDB8_8320,
        width: 32,
    };
    const CRC32C: Self = Self {
        polynomial: 0x82F6_3B78,
        width: 32,
    };
    const CRC64NVME: Self = Self {
        polynomial: 0x9A6C_9329_AC4B_C9B5,
        width: 64,
    };

    /// The one that the header carries; nothing for those that are no such checks.
    pub(super) fn of_header(name: &str) -> Option<Self> {
        match name {
            "x-amz-checksum-crc32" => Some(Self::CRC32),
            "x-amz-checksum-crc32c" => Some(Self::CRC32C),
            "x-amz-checksum-crc64nvme" => Some(Self::CRC64NVME),
            _ => None,
        }
    }

    /// Reads it as S3 writes it, the highest byte first.
    pub(super) fn read(self, bytes: &[u8]) -> Option<u64> {
        let fits = bytes.len() * 8 == self.width as usize;
        fits.then(|| {
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        })
    }

    /// Undoes [`Crc::read`].
    pub(super) fn write(self, crc: u64) -> Vec<u8> {
        let bytes = crc.to_be_bytes();
        bytes
            .get(8 - self.width as usize / 8..)
            .unwrap_or_default()
            .to_vec()
    }

    /// Of the first content with the second, which has `length` bytes, behind it. An empty content has 0.
    pub(super) fn joined(self, first: u64, second: u64, mut length: u64) -> u64 {
        let mut shifted = first;
        // One zero bit, then two, four, eight: a byte.
        let mut zeros = self.one_zero_bit();
        for _ in 0..3 {
            zeros = self.squared(&zeros);
        }
        while length > 0 {
            if length & 1 == 1 {
                shifted = times(&zeros, shifted);
            }
            length >>= 1;
            if length > 0 {
                zeros = self.squared(&zeros);
            }
        }
        shifted ^ second
    }

    fn one_zero_bit(self) -> Matrix {
        let mut matrix = [0; 64];
        matrix[0] = self.polynomial;
        for (bit, row) in matrix
            .iter_mut()
            .enumerate()
            .take(self.width as usize)
            .skip(1)
        {
            *row = 1 << (bit - 1);
        }
        matrix
    }

    fn squared(self, matrix: &Matrix) -> Matrix {
        let mut square = [0; 64];
        for (row, squared) in matrix.iter().zip(&mut square).take(self.width as usize) {
            *squared = times(matrix, *row);
        }
        square
    }
}

fn times(matrix: &Matrix, vector: u64) -> u64 {
    let bits = matrix
        .iter()
        .enumerate()
        .filter(|(bit, _)| vector >> bit & 1 == 1);
    bits.fold(0, |sum, (_, row)| sum ^ row)
}

#[cfg(test)]
mod tests {
    use s3s::crypto::{Checksum, Crc32, Crc32c, Crc64Nvme};

    use super::*;

    fn check<C: Checksum>(header: &str)
    where
        C::Output: AsRef<[u8]>,
    {
        let crc = Crc::of_header(header).unwrap();
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let of = |bytes: &[u8]| crc.read(C::checksum(bytes).as_ref()).unwrap();
        for at in [0, 1, 7, 4096, 399_999, content.len()] {
            let (first, second) = content.split_at(at);
            let joined = crc.joined(of(first), of(second), second.len() as u64);
            assert_eq!(joined, of(&content), "{header} at {at}");
            assert_eq!(crc.write(joined), C::checksum(&content).as_ref());
        }
    }

    #[test]
    fn pieces_have_the_check_of_the_whole() {
        check::<Crc32>("x-amz-checksum-crc32");
        check::<Crc32c>("x-amz-checksum-crc32c");
        check::<Crc64Nvme>("x-amz-checksum-crc64nvme");
        assert_eq!(Crc::of_header("x-amz-checksum-sha1"), None);
    }
}
