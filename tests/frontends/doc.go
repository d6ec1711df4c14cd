// Package frontends tests the publisher against the logging libraries of others, in a module of
// its own, so that who uses logbraid does not inherit them.
package frontends
