package logfile

import (
	"io"
	"io/fs"
	"time"
)

// FS is what a Store needs of a file system, and no more, so that a test can
// make every single call fail. Names inside a Dir are single components.
//
// A Dir stays the directory that it was when opened, wherever its path leads
// later. All methods may be called from several goroutines.
type FS interface {
	// OpenDir opens the directory at path. With create, it and its parents are
	// made (0750) where they are missing, and are then on the disk.
	OpenDir(path string, create bool) (Dir, error)
	// Lstat describes what the path names, without following a symbolic link
	// in its last component.
	Lstat(path string) (Info, error)
	// Lock takes the lock file at path for this process and this caller alone.
	// It returns a *LockedError when another has it.
	Lock(path string) (io.Closer, error)
}

// Dir is an open directory.
type Dir interface {
	// Open opens or creates a regular file; it never follows a symbolic link.
	// flag is of os.O_RDWR, O_CREATE, O_EXCL, O_TRUNC, O_APPEND.
	Open(name string, flag int, perm fs.FileMode) (Handle, error)
	// OpenDir opens a directory inside this one. Where it is missing it is made
	// (0700), and is then on the disk.
	OpenDir(name string) (Dir, error)
	Stat() (Info, error)
	Lstat(name string) (Info, error)
	// List names everything in the directory, in no order.
	List() ([]string, error)
	// Rename replaces what newname names.
	Rename(oldname, newname string) error
	Remove(name string) error
	// Medium names what keeps bytes that are written and not synced: this mount
	// of the file system, since this start of the system. If it is another one
	// than before, they may be lost. Empty: not known.
	Medium() string
	// SetTime sets the time of the last modification.
	SetTime(name string, t time.Time) error
	// Sync forces the directory's entries to the disk.
	Sync() error
	Close() error
}

// Handle is an open file.
type Handle interface {
	io.Writer
	io.ReaderAt
	// WriteAt is not used on handles opened with O_APPEND.
	io.WriterAt
	Truncate(size int64) error
	// Sync forces content and length to the disk.
	Sync() error
	Stat() (Info, error)
	Close() error
}

// Info describes a file or directory.
type Info struct {
	Size    int64
	ID      FileID
	Links   uint64 // 0: the file has no name any more
	Mode    fs.FileMode
	ModTime time.Time
}

// FileID tells files of one machine apart. The zero value means that the file
// system does not say.
type FileID struct{ Device, Inode uint64 }

// known reports whether the file system gives identities.
func (id FileID) known() bool { return id != FileID{} }

// fromBefore reports whether a file of today may be the one that had the identity
// other when the journal was written. Devices are numbered as they are found: the
// same disk may have another number after each start of the system and each
// mount. Within a directory, which is on one of them, the inode is enough.
func (id FileID) fromBefore(other FileID) bool {
	return id.known() && other.known() && id.Inode == other.Inode
}
