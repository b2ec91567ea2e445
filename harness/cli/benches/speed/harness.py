"""What a harness of today does: pyserial drives the module, a paho-mqtt subscriber on a broker compares what arrives.

Arguments: path of the line, port of the broker, QoS, bytes of the payload, seconds. Prints publications a second.
"""

import queue
import sys
import time

import paho.mqtt.client as mqtt
import serial


class Line:
    """The module's line; reads what is there at once, since pyserial's own readline takes a byte a call."""

    def __init__(self, path):
        self.port = serial.Serial(path, 115200, timeout=5)
        self.pending = b""

    def ask(self, command, wanted):
        """Writes a command and reads until each of the wanted lines came, in order."""
        self.port.write(command + b"\r\n")
        for line in wanted:
            while (told := self.line()) != line:
                assert told not in (b"ERROR", None), (command, told)

    def line(self):
        while b"\n" not in self.pending:
            read = self.port.read(self.port.in_waiting or 1)
            if not read:
                return None
            self.pending += read
        line, self.pending = self.pending.split(b"\n", 1)
        return line.strip()


def subscriber(port, arrived):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    subscribed = queue.Queue()
    client.on_subscribe = lambda *_: subscribed.put(True)
    client.on_message = lambda _client, _data, message: arrived.put(message.payload)
    client.connect("127.0.0.1", port)
    client.subscribe("t", 1)
    client.loop_start()
    subscribed.get(timeout=5)


def main():
    path, port, qos, length, seconds = sys.argv[1], *map(int, sys.argv[2:])
    arrived = queue.Queue()
    subscriber(port, arrived)
    line = Line(path)
    line.ask(b"AT", [b"OK"])
    line.ask(b"AT+MCONFIG=python", [b"OK"])
    line.ask(b'AT+MIPSTART="127.0.0.1","%d"' % port, [b"OK", b"CONNECT OK"])
    line.ask(b"AT+MCONNECT=1,60", [b"OK", b"CONNACK OK"])
    payload = b"x" * length
    command = b'AT+MPUB="t",%d,0,"%s"' % (qos, payload)
    wanted = [b"OK", b"PUBACK"] if qos else [b"OK"]
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        line.ask(command, wanted)
        assert arrived.get(timeout=5) == payload
        done += 1
    print(done / (time.monotonic() - began))


main()
