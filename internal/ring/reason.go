package ring

// A Reason is why a record was dropped. The numbers are part of the file format.
type Reason uint8

const (
	// Full: there was no room, or none for this level.
	Full Reason = iota
	// Timeout: it waited for room as long as it may.
	Timeout
	// TooLong: it is longer than the whole buffer.
	TooLong
	// Rejected: the collector refused it for ever.
	Rejected
	// Unknown: the count survived damage to the file, the reason did not.
	Unknown
)

var reasonNames = [reasons]string{"buffer full", "timeout", "too long", "rejected", "unknown", "", "", ""}

// String is the reason as the stream tells it.
func (r Reason) String() string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return "unknown"
}
