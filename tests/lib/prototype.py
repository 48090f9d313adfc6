"""A program of the published prototype, which sells from the same hash and does not know spike."""

import threading
import time

import redis as redis_client

import spike

# Its script, rewritten. Its >= sells one ticket too many: that one is the prototype's own fault.
SCRIPT = """
local total = tonumber(redis.call('HGET', KEYS[1], ARGV[1]))
local sold = tonumber(redis.call('HGET', KEYS[1], ARGV[2]))
if total >= sold then
    return redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
end
return 0
"""


class Prototype(threading.Thread):
    """Sells as fast as it can, or with a pause, and goes on for a while after the last ticket, as
    its servers would. keep_on: sells until stop() or the end of the `with`, also while Redis is
    away or has lost the hash."""

    def __init__(self, redis, pause_s=0.0, keep_on=False):
        super().__init__(daemon=True)
        self.client = redis_client.Redis(unix_socket_path=redis.socket)
        self.script = self.client.register_script(SCRIPT)
        self.sold, self.broken = [], None
        self.pause_s, self.keep_on, self.stopping = pause_s, keep_on, False
        self.start()

    def run(self):
        spent = 0
        try:
            while not self.stopping and (self.keep_on or spent < 100):
                number = self._buy()
                if number:
                    self.sold.append(number)
                else:
                    spent += 1
                time.sleep(self.pause_s)
        except Exception as broken:  # stop() reports it
            self.broken = broken

    def _buy(self):
        try:
            return int(self.script(keys=[spike.HASH], args=[spike.TOTAL, spike.SOLD]))
        except (redis_client.ConnectionError, redis_client.ResponseError):
            if not self.keep_on:
                raise
            return 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stopping = True
        self.join()

    def stop(self):
        """Waits for its end; returns how many tickets it has sold."""
        self.stopping = self.keep_on
        self.join()
        assert not self.broken, f"the prototype failed: {self.broken!r}"
        return len(self.sold)
