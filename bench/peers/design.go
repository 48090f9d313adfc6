// design: the published design as a small Go program, to be measured next to what came of it.
//
//	design ADDRESS REDIS-SOCKET SCRIPT LOCAL-STOCK YES NO [LOG]     (the last three: files)
//
// As published: a local stock in front, the unified stock in Redis behind it, one lock around both
// for every request, and, if a LOG is given, one line in it for each answer, written by opening the
// file each time. Mended: connections to Redis are given back to their pool, an error of Redis is
// answered 503 and not "sold out", and the body always has the same length.
package main

import (
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/gomodule/redigo/redis"
)

type sale struct {
	lock        sync.Mutex
	local, sold int64
	pool        *redis.Pool
	script      *redis.Script
	yes, no     []byte
	logFile     string
}

// buy takes a ticket from the local stock, and then from the unified one.
func (s *sale) buy(link redis.Conn) (bool, int64, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.sold >= s.local {
		return false, s.sold, nil
	}
	s.sold++
	gone, err := redis.Int64(s.script.Do(link, "ticket_hash_key", "ticket_total_nums",
		"ticket_sold_nums"))
	return gone > 0, s.sold, err
}

func (s *sale) note(granted bool, sold int64) {
	file, err := os.OpenFile(s.logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	result := "0"
	if granted {
		result = "1"
	}
	file.WriteString("result:" + result + ",sold:" + strconv.FormatInt(sold, 10) + "\n")
}

func (s *sale) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	link := s.pool.Get()
	granted, sold, err := s.buy(link)
	link.Close()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if s.logFile != "" {
		s.note(granted, sold)
	}
	w.Header().Set("Content-Type", "application/json")
	if granted {
		w.Write(s.yes)
	} else {
		w.Write(s.no)
	}
}

func read(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return text
}

func main() {
	if len(os.Args) < 7 {
		log.Fatal("usage: design ADDRESS REDIS-SOCKET SCRIPT LOCAL-STOCK YES NO [LOG]")
	}
	local, err := strconv.ParseInt(os.Args[4], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	s := &sale{
		local: local,
		pool: &redis.Pool{MaxIdle: 10000, MaxActive: 12000, Dial: func() (redis.Conn, error) {
			return redis.Dial("unix", os.Args[2])
		}},
		script: redis.NewScript(1, string(read(os.Args[3]))),
		yes:    read(os.Args[5]),
		no:     read(os.Args[6]),
	}
	if len(os.Args) > 7 {
		s.logFile = os.Args[7]
	}
	log.Fatal(http.ListenAndServe(os.Args[1], s))
}
