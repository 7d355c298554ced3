class AgentConfiguration:
    __slots__ = ("sensor_specifications",)
