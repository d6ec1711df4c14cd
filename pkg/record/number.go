package record

// digitPairs are the numbers 00 to 99.
const digitPairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

// appendUint is strconv.AppendUint in base 10, in about two thirds of its time: it knows the length before it begins.
func appendUint(dst []byte, v uint64) []byte {
	if v < 10 {
		return append(dst, byte('0'+v))
	}
	n := digitCount(v)
	at := len(dst)
	dst = append(dst, "00000000000000000000"[:n]...)
	putUint(dst[at:], v)
	return dst
}

// digitCount is the length of v in base 10.
func digitCount(v uint64) int {
	n := 1
	for limit := uint64(10); n < 20 && v >= limit; n++ {
		limit *= 10 // 10^20 wraps around, and is never looked at
	}
	return n
}

func appendInt(dst []byte, v int64) []byte {
	if v < 0 {
		return appendUint(append(dst, '-'), -uint64(v))
	}
	return appendUint(dst, uint64(v))
}

// putUint fills dst with the last digits of v.
func putUint(dst []byte, v uint64) {
	i := len(dst)
	for i >= 2 {
		pair := v % 100 * 2
		v /= 100
		i -= 2
		dst[i], dst[i+1] = digitPairs[pair], digitPairs[pair+1]
	}
	if i == 1 {
		dst[0] = byte('0' + v%10)
	}
}
